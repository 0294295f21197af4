# SPDX-License-Identifier: MIT
"""Seeded generator of the training conversations.

    corpus.py [SEED] [COUNT]        print some conversations
"""
import random
import sys

import phrases as P
from questions import EN, ZH, Maker

SKILLS = [("about", 8), ("unknown", 4), ("sum1", 2), ("sum2", 4), ("sub", 1.5), ("mul", 1), ("sum_more", 0.7), ("sort", 5), ("extreme", 1),
          ("repeat", 3), ("reverse", 3), ("count", 2), ("code", 0.5), ("report", 0.5)]
KINDS = [("sums", 4), ("sorts", 6), ("memory", 5), ("words", 5), ("about", 4), ("mixed", 4), ("long", 1.2)]
# the last part of the training: less arithmetic and sorting, more copying and conversation
KINDS_LATE = [("sums", 2.5), ("sorts", 3.5), ("memory", 6), ("words", 8), ("about", 5), ("mixed", 4), ("long", 1.5)]
FACTS = ["name", "name", "name", "colour", "pet", "city"]


class Corpus:
    def __init__(self, seed, skills=SKILLS, kinds=KINDS):
        self.rng = random.Random(seed)
        self.maker = Maker(self.rng)
        self.skills, self.kinds = skills, kinds

    def pick(self, table):
        return self.rng.choices([k for k, _ in table], [w for _, w in table])[0]

    # --- a conversation is a list of (user, answer) in self.turns -------------------------------

    def conversation(self):
        r = self.rng
        self.turns, self.facts, self.pet = [], {}, r.randrange(len(P.ANIMALS))
        self.base = ZH if r.random() < 0.4 else EN
        system = []
        if r.random() < 0.4:
            system = [{"role": "system", "content": self.system()}]
        kind = self.pick(self.kinds)
        getattr(self, "kind_" + kind)()
        return system + [{"role": role, "content": text} for turn in self.turns
                         for role, text in zip(("user", "assistant"), turn)]

    def system(self):
        r = self.rng
        if r.random() < 0.15:
            x = self.facts["name"] = self.maker.name(self.base)
            return self.maker.fill(r.choice(P.SYSTEM_NAME[self.base]), self.base, False, x=x)
        return r.choice(P.SYSTEM)

    def lang(self):
        """Mostly the language of the conversation, with asides in the other."""
        return 1 - self.base if self.rng.random() < 0.1 else self.base

    def skill(self, name=None):
        name = name or self.pick(self.skills)
        lang = self.lang()
        turn = getattr(self.maker, name)(lang)
        self.turns.append(turn)
        if name == "sort":
            while self.rng.random() < 0.55:
                turn = self.maker.sort_follow(self.lang(), turn[1])
                self.turns.append(turn)

    def tell(self, kind=None):
        kind = kind or self.rng.choice(FACTS)
        lang = self.lang()
        self.facts[kind] = self.maker.value(kind, lang)
        self.turns.append(self.maker.tell(kind, lang, self.facts[kind], self.pet))

    def ask(self, untold=0.06):
        if self.facts and self.rng.random() >= untold:
            kind = self.rng.choice([k for k in FACTS if k in self.facts])
        else:
            kind = self.rng.choice(FACTS)
        self.turns.append(self.maker.ask(kind, self.lang(), self.facts.get(kind), self.pet))

    # --- kinds ----------------------------------------------------------------------------------

    def kind_sums(self):
        for _ in range(self.rng.choice((1, 2, 3, 4, 4, 5, 6))):
            self.skill(self.pick([("sum1", 1.5), ("sum2", 6), ("sub", 1.2), ("mul", 0.7), ("sum_more", 1.6)]))

    def kind_sorts(self):
        for _ in range(self.rng.randint(1, 3)):
            self.skill(self.pick([("sort", 8), ("extreme", 1)]))

    def kind_words(self):
        for _ in range(self.rng.randint(1, 4)):
            self.skill(self.pick([("repeat", 4), ("reverse", 4), ("count", 2.5), ("report", 0.8)]))

    def kind_about(self):
        for _ in range(self.rng.randint(1, 4)):
            self.skill(self.pick([("about", 8), ("unknown", 4), ("code", 0.5), ("report", 0.5)]))

    def kind_memory(self, low=0, high=6):
        """Facts early, other turns between, questions at the end."""
        r = self.rng
        if r.random() < 0.12:
            self.ask(1)
        for _ in range(r.choice((1, 1, 1, 2, 2, 3))):
            self.tell()
            if r.random() < 0.3:
                self.skill()
        for _ in range(r.randint(low, high)):
            self.skill()
        for _ in range(r.choice((1, 1, 2, 3))):
            self.ask()
            if r.random() < 0.15:
                self.skill()
        if r.random() < 0.15:
            self.tell()
            self.ask()

    def kind_mixed(self):
        for _ in range(self.rng.randint(1, 7)):
            x = self.rng.random()
            if x < 0.12:
                self.tell()
            elif x < 0.25:
                self.ask()
            else:
                self.skill()

    def kind_long(self):
        self.kind_memory(8, 18)


def main():
    source = Corpus(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        for m in source.conversation():
            print(f"{m['role']}: {m['content']}")
        print()


if __name__ == "__main__":
    main()
