/* Who built what: fixed values, so that every build gives the same bytes. */
#ifndef RELEASE_H
#define RELEASE_H

/* 6.1, because the tables are laid out as in Linux 6.1. */
#define UTS_RELEASE "6.1.0-hello"
#define BUILT_BY "hello@sample"
#define BUILD_NUMBER "1"
#define BUILD_REST "Sample 1 (2026-01-01)"

#endif
