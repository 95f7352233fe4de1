"""What make and gcc print in other languages, as their message catalogues have it.

Most of what make prints is recognised by its form; only words for which there is no form are listed here.
Source: po/ of GNU make 4.3, gcc/po/ of GCC 12.
"""
# ruff: noqa: RUF001

import re

_ENTERING = """\
Entering directory|влизане в|Vstupuje se do|Går til |wird betreten|se entra en|Siirrytään
on entre dans|dul isteach i|Ulazi se u|Memasuki|ingresso nella|に入ります|들어감|wordt binnengegaan
Wejście do|a entrar na|Entrando no|вход в каталог|Улазим у|Går till |входимо до|Vào thư mục
进入目录|進入目錄"""
_LEAVING = """\
Leaving directory|излизане от|Opouští se|Forlader |wird verlassen|se sale del|Poistutaan
on quitte |dul amach as|Izlazi se iz|Meninggalkan|uscita dalla|から出ます|나감|wordt verlaten
Opuszczenie|a sair da|Saindo do|выход из каталога|Напуштам|Lämnar |Залишаю|Rời |离开目录
離開目錄"""
_WARNING = """\
warning|advarsel|Warnung|προειδοποίηση|aviso|varoitus|attention|avertissement|upozorenje
peringatan|警告|let op|waarschuwing|предупреждение|упозорење|varning|UYARI|uyarı|попередження
cảnh báo|경고|avvertimento|attenzione|ostrzeżenie|ostrożnie|varování"""
_NOTE = """\
note|bemærk|Anmerkung|σημείωση|nota|huom|napomena|catatan|備考|замечание|напомена|anm|bilgi
зауваження|ghi chú|附注|附註"""
_ERROR = """\
error|fejl|Fehler|σφάλμα|virhe|erreur|greška|エラー|fout|ошибка|грешка|fel|hata|помилка|lỗi|错误|錯誤
오류|errore|erro|chyba|błąd|fatal fejl|schwerwiegender Fehler|μοιραίο σφάλμα|error fatal
vakava virhe|erreur fatale|fatalna greška|致命的エラー|fatale fout|фатальная ошибка|кобна грешка
ödesdigert fel|ölümcül hata|критична помилка|lỗi nghiêm trọng|致命错误|嚴重錯誤|intern oversætterfejl
interner Compiler-Fehler|error interno del compilador|kääntäjän sisäinen virhe
erreur interne du compilateur|interna greška kompajlera|コンパイラ内部エラー|interne compilerfout
внутренняя ошибка компилятора|internt kompilatorfel|derleyici iç hatası
внутрішня помилка компілятора|lỗi biên dịch nội bộ|编译器内部错误|編譯器內部錯誤"""


def _alternatives(table: str) -> list[str]:
    return re.split(r"[|\n]", table)


def _any_of(table: str) -> str:
    # The longest first: "erreur" starts "erreur fatale".
    return "|".join(re.escape(text) for text in sorted(_alternatives(table), key=len, reverse=True))


SEVERITIES = {
    **{word.lower(): "warning" for word in _alternatives(_WARNING)},
    **{word.lower(): "note" for word in _alternatives(_NOTE)},
}
"""The severity that a word stands for, in lower case; all other words mean an error."""
SEVERITY = "|".join(_any_of(table) for table in (_ERROR, _WARNING, _NOTE))
"""A regular expression for every word that gcc prints before a message."""
MOST_FOLDERS = 10_000
"""Folders that make is in at once, of which names are kept."""
_FOLDER = re.compile(rf"(?P<enter>{_any_of(_ENTERING)})|(?P<leave>{_any_of(_LEAVING)})")
_PATH = re.compile(r"""["'`«»„“”「」『』‘’\udc80-\udcff]\s?(/[^"'`«»„“”「」『』‘’\udc80-\udcff]*)""")
QUOTED = re.compile(r"""["'`«»„“”「」‘’]\s?([^"'`«»„“”「」‘’]+?)\s?["'`«»„“”「」‘’]""")
"""A name in the quotes of any language."""


def folder_change(line: str, inside: set[str]) -> int:
    """1 when make enters a folder, -1 when it leaves one, 0 for other lines.

    A line in an encoding other than UTF-8 is compared by its path alone: the folders that make is `inside` of are left.
    """
    if found := _FOLDER.search(line):
        change = 1 if found["enter"] else -1
    elif any("\udc80" <= character <= "\udcff" for character in line):
        change = 0
    else:
        return 0
    path = _PATH.search(line)
    if not path:
        return change
    key = f"{line.partition(':')[0].rstrip()} {path[1].rstrip()}"
    change = change or (-1 if key in inside else 1)
    if change < 0 or len(inside) < MOST_FOLDERS:
        (inside.add if change > 0 else inside.discard)(key)
    return change
