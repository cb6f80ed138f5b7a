"""Values that few people write so, and look-alikes that are hard to tell from values.

Some of them are judged wrongly, which is why precision and recall are not 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["HARD"]

HARD: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "EMAIL": (
        (
            "Anna.Meier@Example.COM",
            "anna_meier+news@mail.example.museum",
            "jörg@example.de",
            "anna@xn--mller-kva.example",
            "a@b.io",
            "x.y.z@sub.sub.example.org",
            "用户@例子.广告",
            '"john doe"@example.com',
            "anna@[192.0.2.1]",
        ),
        (
            "ssh deploy@server.example.com",
            "scp a.txt me@host.example.com:/tmp",
            "docker pull app@sha256:abcd",
            "npm i @scope/pkg@1.2.3",
            "https://medium.example/@anna.meier",
            "foo@bar.v1",
            "user@host",
        ),
    ),
    "CREDIT_CARD": (
        (
            "4111.1111.1111.1111",
            "4111\u00a01111\u00a01111\u00a01111",
            "4222222222222",
            "6304000000000000",
            "3782 822463 10005",
            "30569309025904",
            "3530111333300000",
            "4111  1111  1111  1111",
            "4111/1111/1111/1111",
        ),
        (
            "IMEI 352099001761481",
            "order 4111111111111112",
            "tracking 9400111899223197428490",
            "ISBN 9783161484100",
            "2026031412345678",
            "4111-1111-1111-1111-1111",
            "0x4111111111111111",
            "order number 4539578763621486",
        ),
    ),
    "IBAN": (
        (
            "de89 3704 0044 0532 0130 00",
            "DE89-3704-0044-0532-0130-00",
            "FR1420041010050500013M02606",
            "MT84MALT011000012345MTLCAST001S",
            "BR1800360305000010009795493C1",
            "DE89 37040044 0532013000",
        ),
        (
            "AB12 CDEF GHIJ KLMN",
            "DE00370400440532013000",
            "VAT DE123456789",
            "SW1A 1AA",
            "ES6 modules and ES2015",
            "commit de89a7c4",
        ),
    ),
    "PHONE": (
        (
            "+49(0)30 1234567",
            "+49 (0) 171 1234567",
            "+12125550123",
            "212.555.0123",
            "0171/1234567",
            "(030) 1234567",
            "06 12 34 56 78",
            "1-800-555-0199",
            "13812345678",
        ),
        (
            "12345-6789",
            "12.03.2026",
            "978-3-16-148410-0",
            "4111 1111 1111 1111",
            "550e8400-e29b-41d4-a716-446655440000",
            "lines 120-245",
            "part 415-555-0100",
            "0.123 456 789",
        ),
    ),
    "SECRET": (
        (
            "sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUv",
            "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyzABCDEFGHIJKLMNO7",
            "npm_abcdefghijklmnopqrstuvwxyz0123456789",
            "ya29.a0AfH6SMBx1234567890abcdefghijklmnop",
            "dapi0123456789abcdef0123456789abcdef",
            "SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        (
            "sk-SK locale",
            "hf_hub_download(repo_id)",
            "npm_config_registry=https://x",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "550e8400-e29b-41d4-a716-446655440000",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
            "glpat-<your token>",
            "sk-your-key-goes-here-0000000",
        ),
    ),
    "IP_ADDRESS": (
        (
            "2001:DB8::A:1",
            "10.0.0.1",
            "fe80::1",
            "::ffff:192.0.2.1",
        ),
        (
            "section 1.2.3.4",
            "1.2.3.4-beta",
            "OID 1.3.6.1.4.1",
            "ff:ee:dd:cc:bb:aa",
            "key::value",
            "firmware 4.2.0.17",
            "Release notes: 2.14.0.3",
        ),
    ),
}
