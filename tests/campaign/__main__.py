"""`python -m tests.campaign --seconds 600 --seed 7 [--out FOLDER]`: a campaign of any length. Status 1: findings."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.campaign.run import Campaign, report

parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
parser.add_argument("--seconds", type=float, default=60, help="how long to go on (default: %(default)s)")
parser.add_argument("--seed", type=int, default=1, help="the seed of the generator (default: %(default)s)")
parser.add_argument("--out", type=Path, help="the folder for reproducers (default: a new one)")
options = parser.parse_args()
with tempfile.TemporaryDirectory() as scratch:
    campaign = Campaign(Path(scratch), options.out or Path(tempfile.mkdtemp(prefix="campaign-")), options.seed)
    campaign.run(options.seconds)
report(campaign)
sys.exit(bool(campaign.findings))
