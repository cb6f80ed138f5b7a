"""Values of each entity, and texts that look like them: the ordinary ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = ["GENERATORS", "Generator", "luhn"]


def _digits(random: Random, count: int) -> str:
    return "".join(random.choice("0123456789") for _ in range(count))


def _letters(random: Random, count: int, letters: str = "abcdefghijklmnopqrstuvwxyz") -> str:
    return "".join(random.choice(letters) for _ in range(count))


_MIXED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _email(random: Random) -> str:
    local = random.choice(("anna", "b.kowalski", "info+news", "max_m", "o'neill", "j-r", "x1"))
    host = random.choice(("example.com", "mail.example.org", "a-b.example.co.uk", "müller.example"))
    return f"{local}{random.choice(('', _digits(random, 2)))}@{host}"


def _like_email(random: Random) -> str:
    return random.choice(
        (
            f"react@{random.randint(1, 19)}.{random.randint(0, 9)}.0",
            f"logo@{random.randint(2, 3)}x.png",
            "git@github.com:team/repo.git",
            "@alice and @bob",
            "user@localhost",
            "@app.route('/')",
            f"postgres://admin:{_letters(random, 8)}@db.example.com/x",
            "3 apples @ 2.50 each",
            "a @ b.com",
            "name@",
            "@dataclass(slots=True)",
        )
    )


def luhn(digits: str) -> str:
    """Return digits with their check digit."""
    for check in "0123456789":
        total = 0
        for place, digit in enumerate(reversed(digits + check)):
            value = int(digit) * (2 if place % 2 else 1)
            total += value - 9 if value > 9 else value
        if total % 10 == 0:
            return digits + check
    raise AssertionError


def _card(random: Random) -> str:
    prefix, size = random.choice((("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16)))
    digits = luhn(prefix + _digits(random, size - len(prefix) - 1))
    if size == 15:
        groups = [digits[:4], digits[4:10], digits[10:]]
    else:
        groups = [digits[at : at + 4] for at in range(0, 16, 4)]
    return random.choice(("", " ", "-")).join(groups)


def _like_card(random: Random) -> str:
    bad = list(luhn("4" + _digits(random, 14)))
    bad[-1] = str((int(bad[-1]) + random.randint(1, 9)) % 10)
    return random.choice(
        (
            "".join(bad),
            f"order {random.choice('1789')}{_digits(random, 15)}",
            f"ORD-{luhn('4' + _digits(random, 14))}",
            luhn("4" + _digits(random, 14)) + _digits(random, 6),
            f"1764{_digits(random, 9)}",
            f"{_letters(random, 8, 'abcdef0123456789')}-{_digits(random, 4)}-{_digits(random, 4)}-"
            f"{_digits(random, 4)}-{_digits(random, 12)}",
            "0000 0000 0000 0000",
            "4444 4444 4444 4444",
            " ".join(_digits(random, 2) for _ in range(8)),
            f"v{random.randint(1, 9)}.{_digits(random, 2)}.{_digits(random, 12)}",
        )
    )


def _iban(random: Random) -> str:
    country, size, bank = random.choice(
        (("DE", 22, ""), ("GB", 22, "NWBK"), ("FR", 27, ""), ("NL", 18, "ABNA"), ("NO", 15, ""))
    )
    account = bank + _digits(random, size - 4 - len(bank))
    number = "".join(str(int(char, 36)) for char in account + country + "00")
    iban = f"{country}{98 - int(number) % 97:02d}{account}"
    if random.random() < 0.5:
        return iban
    return " ".join(iban[at : at + 4] for at in range(0, size, 4))


def _like_iban(random: Random) -> str:
    iban = list(_iban(random).replace(" ", ""))
    iban[-1] = str((int(iban[-1]) + random.randint(1, 9)) % 10)
    return random.choice(
        (
            "".join(iban),
            f"XX{_digits(random, 20)}",
            f"DE{_digits(random, 9)}",
            f"INV{_digits(random, 14)}",
            f"ab12 {_letters(random, 4)} {_letters(random, 5)}",
            f"SE{_digits(random, 2)} is {_letters(random, 3)}",
            "ISO13616 and DE89",
        )
    )


def _phone(random: Random) -> str:
    return random.choice(
        (
            f"+49 30 {random.randint(1000000, 9999999)}",
            f"+1 (212) {random.randint(200, 999)}-{_digits(random, 4)}",
            f"+86138{_digits(random, 8)}",
            f"+44 20 7946 0{_digits(random, 3)}",
            f"(415) {random.randint(200, 999)}-{_digits(random, 4)}",
            f"415-{random.randint(200, 999)}-{_digits(random, 4)}",
            f"030 {random.randint(100000, 9999999)}",
            f"0151 {random.randint(1000000, 9999999)}",
        )
    )


def _like_phone(random: Random) -> str:
    return random.choice(
        (
            _digits(random, 10),
            f"order {random.randint(100, 999)}-{_digits(random, 7)}-{_digits(random, 7)}",
            f"+{random.randint(1, 99)} %",
            f"2026-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}",
            f"{random.randint(1, 9)}.{random.randint(0, 99)}.{random.randint(0, 9999)}",
            f"+{random.randint(1, 9)}.{_digits(random, 2)} points",
            f"ISBN 978-{random.randint(0, 9)}-{_digits(random, 5)}-{_digits(random, 3)}-1",
            f"a+{_digits(random, 9)}",
            f"{random.randint(100, 199)}-{random.randint(100, 199)}-{_digits(random, 4)}",
        )
    )


def _secret(random: Random) -> str:
    upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    jwt = f"eyJ{_letters(random, 33, _MIXED)}.eyJ{_letters(random, 60, _MIXED)}."
    return random.choice(
        (
            f"sk-{_letters(random, 46, _MIXED)}7",
            f"sk-proj-{_letters(random, 60, _MIXED + '_-')}7",
            f"sk-ant-api03-{_letters(random, 90, _MIXED + '_-')}A",
            f"AKIA{_letters(random, 15, upper)}7",
            f"ghp_{_letters(random, 35, _MIXED)}7",
            f"glpat-{_letters(random, 19, _MIXED)}7",
            f"xoxb-{_digits(random, 12)}-{_letters(random, 24, _MIXED)}",
            f"AIza{_letters(random, 34, _MIXED)}7",
            f"{jwt}{_letters(random, 42, _MIXED)}7",
            "-----BEGIN PRIVATE KEY-----\n"
            f"{_letters(random, 64, _MIXED)}\n-----END PRIVATE KEY-----",
        )
    )


def _like_secret(random: Random) -> str:
    return random.choice(
        (
            "sk-learn and sk-image",
            "sk-this-is-a-rather-long-name-in-kebab-case",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "AKIA is the prefix",
            f"sha256:{_letters(random, 64, '0123456789abcdef')}",
            f"{_letters(random, 40, '0123456789abcdef')}",
            "ghp_ tokens have 36 characters",
            "eyJ is how a token begins",
            "-----BEGIN CERTIFICATE-----",
            f"task-{_letters(random, 30, _MIXED)}",
            f"https://example.com/{_letters(random, 24, _MIXED)}",
            f"desk-{_digits(random, 24)}",
        )
    )


def _ip(random: Random) -> str:
    return random.choice(
        (
            f"192.168.{random.randint(0, 255)}.{random.randint(1, 254)}",
            f"{random.randint(11, 223)}.{random.randint(0, 255)}.{random.randint(0, 255)}.7",
            f"2001:db8::{random.randint(1, 9)}:{_letters(random, 3, 'abcdef')}1",
            f"fe80::1ff:fe23:4567:{_digits(random, 3)}a",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        )
    )


def _like_ip(random: Random) -> str:
    return random.choice(
        (
            f"version {random.randint(1, 9)}.{random.randint(0, 9)}.0.{random.randint(0, 9)}",
            f"v{random.randint(1, 9)}.2.3.4",
            f"Chrome/{random.randint(90, 140)}.0.0.0",
            f"10.0.19045.{random.randint(1000, 9999)}",
            f"{random.randint(256, 999)}.1.1.1",
            "1.2.3.4.5",
            f"{random.randint(1, 23)}:{random.randint(10, 59)}:{random.randint(10, 59)}",
            "std::vector<int>::iterator",
            "00:1a:2b:3c:4d:5e",
            "crate::a::b",
            "1.5.2",
            "libfoo-1.2.3.4",
        )
    )


Generator = Callable[[Random], str]
GENERATORS: dict[str, tuple[Generator, Generator]] = {
    "EMAIL": (_email, _like_email),
    "CREDIT_CARD": (_card, _like_card),
    "IBAN": (_iban, _like_iban),
    "PHONE": (_phone, _like_phone),
    "SECRET": (_secret, _like_secret),
    "IP_ADDRESS": (_ip, _like_ip),
}
