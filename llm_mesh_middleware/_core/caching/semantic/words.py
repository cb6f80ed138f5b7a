"""Words that change the meaning of a sentence, and words that often begin one."""

from __future__ import annotations

__all__ = ["CJK_MARKS", "MARKS", "OPENERS"]

_NEGATIONS = """
no not never none nothing nobody nowhere neither nor without cannot except unless hardly
nicht kein keine keinen keiner keinem keines nie niemals nichts ohne weder
ne pas jamais sans aucun aucune rien ni
nunca sin nada ningún ninguna ninguno
non mai senza nessuno nulla
não nem sem nenhum nenhuma
"""
_OPPOSITES = """
on off open close opened closed opening closing enable disable enabled disabled allow deny
allowed denied
accept reject start stop begin end first last before after above below over under up down
out from left right north south east west front back inside outside
more less most least many few much little max min maximum minimum high low higher lower highest
lowest
tall taller tallest short shorter shortest long longer longest big bigger biggest small smaller
smallest
large larger largest hot cold hotter colder warm cool fast slow faster slower old new older
newer young younger
early late earlier later good bad better worse best worst cheap expensive cheaper
buy sell bought sold borrow lend import export send receive push pull add remove insert delete
increase decrease increased decreased rise fall grow shrink gain loss win lose profit encrypt
decrypt
encode decode upload download lock unlock install uninstall mount unmount connect disconnect
login logout subscribe unsubscribe follow unfollow show hide true false yes every
always only against legal illegal safe unsafe possible impossible required optional
public private input output read write source target ascending descending positive negative
today tomorrow yesterday now next previous past future day night morning evening week month year
male female man woman men women husband wife mother father son daughter brother sister he she
his her
aus auf vor nach oben unten mehr weniger kaufen verkaufen
avant après plus moins ouvrir fermer antes después más menos abrir cerrar
"""
_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve hundred thousand million
billion
second third fourth fifth half quarter double twice once
"""
_QUESTIONS = """
who whom whose what which when where why how
wer wen wem wessen welche welcher welches wann wo warum wie
qui quoi quel quelle quand où pourquoi comment combien
quién qué cuál cuándo dónde cómo cuánto
"""
_OPENERS = """
a an the this that these those it its there here i i'm i'd i've i'll you we they my your our
their
is are was were be am do does did can could may might shall should will would must has have had
please tell explain give show write describe list name find help let define summarize summarise
translate compare compute calculate convert create make build suggest recommend provide say
hello hi hey thanks
fix check correct improve rewrite rephrase rank count draft generate plan solve discuss outline
identify
in on for with to and but or so if as at by of about because also then than while during since
until like
der die das ein eine ist sind kann können bitte ich wir sie es gibt erkläre nenne
le la les un une est sont peut pouvez je nous vous il elle
el los las una es son puede puedo por
"""

MARKS = frozenset(f"{_NEGATIONS} {_OPPOSITES} {_NUMBERS} {_QUESTIONS}".split())
OPENERS = frozenset(_OPENERS.split())
# Signs of scripts that are written without spaces: negations, opposites, numerals, questions.
CJK_MARKS = frozenset(
    "不没沒无無非否别勿未莫"
    "上下左右前后後里外内內大小多少高低长長短新旧舊早晚快慢"
    "开開关關买買卖賣进進出入增减減升降加"
    "男女父母子夫妻冷热熱东東西南北最更先真假好坏壞"
    "一二三四五六七八九十百千万萬亿億零两半第年月日周週天今明昨"
    "谁誰何哪几幾怎"
)
