"""Fixed work in two functions; parse does it as often as the argument says."""

import sys


def lex():
    return sum(i * i for i in range(10000000))


def parse():
    total = 0
    for i in range(10000000):
        total += i % 7
    return total


lex()
for _ in range(int(sys.argv[1])):
    parse()
