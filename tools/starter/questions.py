# SPDX-License-Identifier: MIT
"""Questions with their right answers, shared by the corpus and the evaluation.

A Maker for training never uses what `held_out` keeps for the test (names, number
pairs, lists, and the phrasings marked "*"); a Maker for the test uses only that.
Standard library only.
"""
import hashlib
import re

import phrases as P
import snippets as S

EN, ZH = 0, 1
BLANK_AFTER_CJK = re.compile(r"(?<=[\u4e00-\u9fff])\{x\}")


def held_out(kind, key):
    """A tenth of all keys, chosen by hash."""
    return hashlib.sha1(f"{kind}:{key}".encode()).digest()[0] < 26


class Maker:
    def __init__(self, rng, test=False):
        self.rng = rng
        self.test = test

    # --- choice -----------------------------------------------------------------------------

    def fresh(self, kind, make, key=str):
        """Draw from make() until the thing belongs to our side of the split."""
        while True:
            x = make()
            if held_out(kind, key(x)) == self.test:
                return x

    def phrase(self, options):
        """One phrasing: for the test a held-out one where the list has any."""
        kept = [o for o in options if o[0] == "*"]
        if self.test and kept:
            return self.rng.choice(kept)[1:]
        return self.rng.choice(options[:len(options) - len(kept)])

    def chance(self, p):
        return self.rng.random() < p

    # --- words ------------------------------------------------------------------------------

    def syllables(self):
        r = self.rng
        n = r.choice((2, 2, 3))
        w = "".join(r.choice("bcdfghjklmnprstvwz") + r.choice(("a", "e", "i", "o", "u", "a", "e", "ai", "ou"))
                    for _ in range(n))
        return w + r.choice(("", "", "n", "r", "s", "l", "k", "m"))

    def chinese(self):
        """One to three characters: any that the texts use, or any at all."""
        r = self.rng
        return "".join(chr(r.randint(0x4e00, 0x9f00)) if r.random() < 0.3 else r.choice(P.ALL_CHINESE)
                       for _ in range(r.choice((1, 2, 2, 3))))

    def odd_word(self, lang):
        """Spellings and characters beyond the pools, so that copying learns every token."""
        r = self.rng
        if lang == ZH:
            return self.chinese()
        x = r.random()
        if x < 0.3:
            return r.choice(P.ALL_WORDS)
        if x < 0.5:
            return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(2, 7)))
        w = "".join(r.choice(P.ONSETS) + r.choice(P.VOWELS) + r.choice(P.CODAS) for _ in range(r.choice((1, 2, 2, 3))))
        return w

    def name(self, lang):
        r = self.rng

        def make():
            if lang == ZH and r.random() < 0.85:
                if r.random() < 0.12:
                    return self.chinese()
                surname = r.choice(P.SURNAMES_ZH if r.random() < 0.95 else P.SURNAMES_ZH2)
                return surname + "".join(r.choice(P.GIVEN_ZH) for _ in range(r.choice((1, 2, 2))))
            if r.random() < 0.35:
                return r.choice(P.FIRST_NAMES)
            if r.random() < 0.1:
                return r.choice(P.FIRST_NAMES) + " " + self.syllables().capitalize()
            if r.random() < 0.35:
                return self.odd_word(EN).capitalize()
            return self.syllables().capitalize()
        x = self.fresh("name", make)
        return x.lower() if not self.test and x.isascii() and self.chance(0.1) else x

    def city(self, lang):
        if self.chance(0.5):
            return self.rng.choice(P.CITIES_ZH if lang == ZH else P.CITIES)
        return self.fresh("name", lambda: self.syllables().capitalize())

    def words(self, lang, low, high, unusual=0.2):
        r = self.rng

        def make():
            n = r.randint(low, high)
            if lang == ZH:
                x = r.sample(P.WORDS_ZH, n)
                return [self.chinese() for _ in x] if r.random() < unusual / 2 else x
            odd = (self.syllables, lambda: self.odd_word(EN))
            return [r.choice(odd)() if r.random() < unusual else r.choice(P.WORDS) for _ in range(n)]
        return self.fresh("words", make, " ".join)

    def numbers(self, low=3, high=7):
        r = self.rng

        def make():
            n = r.randint(low, high)
            top = r.choice((9, 20, 50, 99, 99, 99))
            if r.random() < 0.2:
                return [r.randint(0, r.choice((9, 99))) for _ in range(n)]
            if r.random() < 0.1:
                return [r.randint(0, top) for _ in range(n)]
            return r.sample(range(top + 1), n)
        return self.fresh("numbers", make, lambda x: str(sorted(x)))

    # --- texts ------------------------------------------------------------------------------

    def noise(self, text, lang):
        """The way people type: lower case, no punctuation, a slip, a polite word."""
        if self.test:
            return text
        r = self.rng
        parts = re.split(r"(\{[a-z]+\})", text)
        if lang == EN and r.random() < 0.25:
            parts = [p if p[:1] == "{" else p.lower() for p in parts]
        if r.random() < 0.25:
            parts[-1] = parts[-1].rstrip(".?!。？！")
        if lang == EN and r.random() < 0.07:
            i = r.randrange(len(parts))
            p = parts[i]
            at = [m.start() for m in re.finditer(r"[a-z](?=[a-z])", p)]
            if p[:1] != "{" and len(at) > 3:
                k = r.choice(at[1:])
                parts[i] = r.choice((p[:k] + p[k + 1:], p[:k] + p[k + 1] + p[k] + p[k + 2:], p[:k] + p[k] + p[k:]))
        text = "".join(parts)
        if r.random() < 0.06:
            text = r.choice((P.OPENERS, P.OPENERS_ZH)[lang]) + text
        return text

    def fill(self, text, lang, user=True, **values):
        if user:
            text = self.noise(text, lang)
        x = values.get("x", "")
        if lang == ZH and x[:1].isascii() and not (user and not self.test and self.chance(0.15)):
            text = BLANK_AFTER_CJK.sub(" {x}", text)
        for k, v in values.items():
            text = text.replace("{" + k + "}", v)
        return text

    def join(self, items, lang, plain=0.6):
        """A list as the user writes it; answers always use one separator."""
        if self.test or self.chance(plain):
            return (", ", "、")[lang].join(items)
        return self.rng.choice(((", ", ",", " "), ("、", "，", " "))[lang]).join(items)

    def join_numbers(self, items):
        text = [str(i) for i in items]
        if self.test or self.chance(0.7):
            return ", ".join(text)
        return self.rng.choice((",", " ", "、", "，", " ")).join(text)

    def task(self, kind, lang, **values):
        return self.fill(self.phrase(P.TASK[kind][lang]), lang, **values)

    # --- single questions: each gives (user, answer) ---------------------------------------------

    def about(self, lang, topic=None):
        t = P.ABOUT[topic or self.rng.choice(list(P.ABOUT))]
        return self.fill(self.phrase(t[2 * lang]), lang), t[2 * lang + 1]

    def unknown(self, lang):
        r = self.rng
        lists = ((P.PLACES, P.THINGS, P.FOODS), (P.PLACES_ZH, P.THINGS_ZH, P.FOODS_ZH))[lang]
        place, thing, food = (r.choice(x) for x in lists)
        if lang == EN and r.random() < 0.15:
            place, thing = self.syllables().capitalize(), self.syllables()
        word = r.choice(P.WORDS) if r.random() < 0.7 else self.syllables()
        text = self.phrase((P.UNKNOWN_EN, P.UNKNOWN_ZH)[lang])
        text = self.fill(text, lang, place=place, thing=thing, food=food, word=word, tongue=r.choice(P.LANGS),
                         algo=r.choice((P.ALGOS, P.ALGOS_ZH)[lang]), code=r.choice(P.CODES))
        return text, P.UNKNOWN[lang]

    def sum1(self, lang):
        # all hundred pairs of one-digit numbers are trained on; only the phrasing is held out
        a, b = self.rng.randint(0, 9), self.rng.randint(0, 9)
        return self.task("sum", lang, a=str(a), b=str(b)), f"{a} + {b} = {a + b}"

    def sum2(self, lang):
        r = self.rng

        def make():
            if not self.test and r.random() < 0.2:
                return (r.randint(0, 9), r.randint(10, 99))[::r.choice((1, -1))]
            return r.randint(10, 99), r.randint(10, 99)
        a, b = self.fresh("sum", make, lambda p: str(sorted(p)))
        return self.task("sum", lang, a=str(a), b=str(b)), f"{a} + {b} = {a + b}"

    def sum_more(self, lang):
        """Beyond the promise: three digits, or three one-digit numbers."""
        r = self.rng
        if r.random() < 0.6:
            a, b = r.randint(100, 999), r.choice((r.randint(1, 99), r.randint(100, 999)))
            return self.task("sum", lang, a=str(a), b=str(b)), f"{a} + {b} = {a + b}"
        x = [r.randint(0, 9) for _ in range(3)]
        ask = r.choice(("{a} + {b}", "{a}+{b}", "What is {a} + {b}?")) if lang == EN else r.choice(("{a} + {b}", "{a} + {b} 等于多少？"))
        joined = ("+" if "{a}+" in ask else " + ").join(map(str, x[:2]))
        return self.fill(ask, lang, a=joined, b=str(x[2])), " + ".join(map(str, x)) + f" = {sum(x)}"

    def sub(self, lang):
        # like the one-digit sums, trained on whole: too few to keep some for the test
        a = self.rng.randint(0, 20)
        b = self.rng.randint(0, a)
        return self.task("sub", lang, a=str(a), b=str(b)), f"{a} - {b} = {a - b}"

    def mul(self, lang):
        a, b = self.rng.randint(0, 10), self.rng.randint(0, 10)
        return self.task("mul", lang, a=str(a), b=str(b)), f"{a} × {b} = {a * b}"

    def sort(self, lang, down=None):
        x = self.numbers()
        down = self.chance(0.25) if down is None else down
        answer = ", ".join(map(str, sorted(x, reverse=down)))
        return self.task("sort_down" if down else "sort", lang, x=self.join_numbers(x)), answer

    def sort_follow(self, lang, answer):
        """The other direction of a sorted answer."""
        x = answer.split(", ")
        down = int(x[0]) < int(x[-1])
        return self.task("down" if down else "up", lang), ", ".join(reversed(x))

    def extreme(self, lang):
        x = self.numbers()
        kind = self.rng.choice(("max", "min"))
        return self.task(kind, lang, x=self.join_numbers(x)), str(max(x) if kind == "max" else min(x))

    def repeat(self, lang):
        if lang == ZH:
            x = "、".join(self.words(lang, 1, 5))
        else:
            x = self.rng.choice((" ", " ", ", ")).join(self.words(lang, 1, 6, 0.3))
            if not self.test and self.chance(0.15):
                x = self.about(EN)[0] if self.chance(0.5) else self.unknown(EN)[0]
        return self.task("repeat", lang, x=x), x

    def reverse(self, lang):
        x = self.words(lang, 2, 6, 0.1)
        return (self.task("reverse", lang, x=self.join(x, lang)),
                "Reversed: " + ", ".join(x[::-1]) if lang == EN else "反过来：" + "、".join(x[::-1]))

    def count(self, lang):
        x = self.words(lang, 2, 8, 0.1)
        return (self.task("count", lang, x=self.join(x, lang)), (f"There are {len(x)}.", f"有 {len(x)} 个。")[lang])

    def code(self, lang):
        kind, name, fence = key = self.rng.choice(list(S.CODE) + [k for k in S.CODE if k[0] == "bubble"])
        d = (f" in {name}", f"（{name}）")[lang]
        if name == "Python" and self.chance(0.5):
            d = ""
        ask = self.fill(self.phrase(S.CODE_ASK[kind][lang]), lang, l=name, d=d)
        title = S.CODE_NAME[kind][lang]
        intro = (f"Here is {title} in {name}:", f"这是用 {name} 写的{title}：")[lang]
        return ask, f"{intro}\n\n```{fence}\n{S.CODE[key]}\n```"

    def report(self, lang):
        if self.chance(0.5):
            return self.fill(self.phrase(S.REPORT_ASK[lang]), lang), S.report(lang)
        x = self.words(lang, 2, 4, 0.1)
        return (self.fill(self.phrase(S.REPORT_ITEMS_ASK[lang]), lang, x=self.join(x, lang, 0.9)), S.report(lang, x))

    # --- facts --------------------------------------------------------------------------------

    def value(self, kind, lang):
        if kind == "colour":
            return self.rng.choice((P.COLOURS, P.COLOURS_ZH)[lang])
        return self.city(lang) if kind == "city" else self.name(lang)

    def tell(self, kind, lang, x, pet=0):
        f = P.FACT[kind][5 * lang:]
        p = (P.ANIMALS, P.ANIMALS_ZH)[lang][pet]
        return self.fill(self.phrase(f[0]), lang, x=x, p=p), self.fill(f[1], lang, False, x=x, p=p)

    def ask(self, kind, lang, x, pet=0):
        """x is None where the user has not told it."""
        f = P.FACT[kind][5 * lang:]
        p = (P.ANIMALS, P.ANIMALS_ZH)[lang][pet]
        answer = f[4].replace("{p}", p) if x is None else self.fill(f[3], lang, False, x=x, p=p)
        return self.fill(self.phrase(f[2]), lang, p=p), answer
