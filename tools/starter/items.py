# SPDX-License-Identifier: MIT
"""Held-out test items per skill: messages (the turns before the last with their
right answers) and the one right answer.  Standard library only."""
import random

from questions import EN, ZH, Maker

FILLERS = ["about", "unknown", "sum1", "sum2", "sub", "mul", "sort", "repeat", "reverse", "count"]
SINGLE = ["sum1", "sum2", "sub", "mul", "sort", "extreme", "repeat", "reverse", "count", "about", "unknown", "code", "report"]
# skill -> share of items in the quick run
QUICK = {"sum1": 3, "sum2": 3, "sort": 3, "follow": 3, "recall": 3, "repeat": 1, "reverse": 1, "about": 2, "unknown": 1,
         "aside": 1, "untold": 1}


class Items:
    def __init__(self, seed):
        self.rng = random.Random(f"test {seed}")
        self.maker = Maker(self.rng, test=True)

    def filler(self, lang):
        return getattr(self.maker, self.rng.choice(FILLERS))(lang)

    def turns(self, skill, lang):
        """The turns of an item; the last one is the question that counts."""
        r, m = self.rng, self.maker
        if skill in SINGLE:
            return [getattr(m, skill)(lang)]
        if skill == "follow":          # sort, then once or twice the other direction
            turns = [m.sort(lang)]
            for _ in range(r.randint(1, 2)):
                turns.append(m.sort_follow(lang, turns[-1][1]))
            return turns
        if skill == "aside":           # one question in the other language amid a conversation
            turns = [self.filler(lang), self.filler(lang), self.filler(1 - lang)]
            turns.insert(r.randint(0, 3), m.about(lang))
            if r.random() < 0.5:
                turns.append(m.about(lang))
            return turns
        if skill == "untold":
            return [self.filler(lang) for _ in range(r.randint(0, 2))] + [m.ask(r.choice(("name", "colour", "city")), lang, None)]
        # recall: told, other turns, asked
        kind = "name" if skill != "facts" else r.choice(("colour", "pet", "city"))
        x, pet = m.value(kind, lang), r.randrange(8)
        between = {"recall": r.randint(5, 7), "recall1": 1, "recall3": 3, "facts": r.randint(1, 5), "recall_long": 14}[skill]
        return [m.tell(kind, lang, x, pet)] + [self.filler(lang) for _ in range(between)] + [m.ask(kind, lang, x, pet)]

    def item(self, skill):
        lang = ZH if self.rng.random() < 0.35 else EN
        turns = self.turns(skill, lang)
        messages = [{"role": role, "content": text} for turn in turns for role, text in zip(("user", "assistant"), turn)]
        if self.rng.random() < 0.3:
            messages.insert(0, {"role": "system", "content": "You are a helpful assistant."})
        return {"skill": skill, "messages": messages[:-1], "answer": messages[-1]["content"]}


SKILLS = SINGLE + ["follow", "recall1", "recall3", "recall", "recall_long", "facts", "untold", "aside"]


def make(seed, count, quick=False):
    source = Items(seed)
    if quick:
        return [source.item(s) for s, n in QUICK.items() for _ in range(n)]
    return [source.item(s) for s in SKILLS for _ in range(count)]
