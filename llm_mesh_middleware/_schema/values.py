"""Checks of single values: hosts, base URLs, paths, header names, header text.

A check returns the normal form of its string or raises ValueError. Its message does not repeat the
value, which may be a secret in the wrong place; the caller that reports the error adds the value if
it may be shown.
"""

import re
from ipaddress import IPv4Address, IPv6Address

__all__ = [
    "check_base_url",
    "check_file_name",
    "check_header_name",
    "check_header_text",
    "check_host",
    "check_host_and_port",
    "check_name",
    "check_path",
    "check_route_host",
    "check_secret_key",
    "check_secret_name",
    "check_variable_name",
]

# Underscores are not host names by RFC 1123, but container networks resolve them.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAX_DNS_NAME = 253
# With a last label like these, resolvers read the whole name as an IPv4 address (WHATWG URL, 3.5).
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 5.6.2, without upper case
_PATH = re.compile(r"/[\x21-\x7e]*")
_DOTS = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
_BASE_URL = re.compile(r"(https?)://([^/?#@\\]+)/?", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 5.5: a tab is allowed, these are not
_HIGHEST_PORT = 65535

# The first one found is reported.
_NOT_IN_A_HOST = (
    ("://", "a scheme"),
    ("@", "user information"),
    ("/", "a path"),
    ("\\", "a backslash"),
    ("?", "a query"),
    ("#", "a fragment"),
    (",", "a comma"),
    ("*", "a wildcard"),
)


def check_host(value: str) -> str:
    """Return a DNS name in lower case without the final dot, or an IP address without brackets."""
    if not value:
        raise ValueError("must not be empty")
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("must be a DNS name or an IP address, without white space")
    for text, fault in _NOT_IN_A_HOST:
        if text in value:
            raise ValueError(f"must be a DNS name or an IP address, without {fault}")
    if not value.isascii():
        raise ValueError("must be written in ASCII; an international name has an xn-- form")
    if value.count(":") > 1:
        return _check_ipv6(value)
    if ":" in value:
        raise ValueError("must be a DNS name or an IP address, without a port")
    return _check_name_or_ipv4(value.lower().removesuffix("."))


def _check_ipv6(value: str) -> str:
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        address = IPv6Address(inner)
    except ValueError:
        fault = "without a port" if value.startswith("[") else "and this is neither"
        raise ValueError(f"must be a DNS name or an IP address, {fault}") from None
    if address.scope_id is not None:
        raise ValueError("must be an IP address without a zone")
    return str(address)


def _check_name_or_ipv4(name: str) -> str:
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise ValueError("must be a DNS name or a whole IPv4 address") from None
    if len(name) > _MAX_DNS_NAME or not _DNS_NAME.fullmatch(name):
        raise ValueError(
            "must be a DNS name (letters, digits, - and _ between dots) or an IP address"
        )
    return name


def check_route_host(value: str) -> str:
    """Return a host as in `check_host`, `*`, or `*.` before a DNS name."""
    if value == "*":
        return value
    if not value.startswith("*."):
        if "*" in value:
            raise ValueError("may hold a wildcard only as `*` alone or as a leading `*.`")
        return check_host(value)
    suffix = check_host(value[2:])
    if ":" in suffix or _NUMERIC_LABEL.fullmatch(suffix.rpartition(".")[2]):
        raise ValueError("must have a DNS name after `*.`")
    return f"*.{suffix}"


def check_host_and_port(value: str) -> str:
    """Return the value of a Host field: a host, optionally with `:port`; IPv6 in brackets."""
    if value.count(":") > 1 and not value.startswith("["):
        raise ValueError("must have an IPv6 address in brackets")
    head, colon, port = value.rpartition(":")
    if not colon or value.endswith("]"):
        head, port = value, ""
    elif not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _HIGHEST_PORT):
        raise ValueError(f"must have a port from 1 to {_HIGHEST_PORT} after the colon")
    host = check_host(head)
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{int(port)}" if port else host


def check_base_url(value: str) -> str:
    """Return a URL of scheme, host and optional port, in lower case, without a final slash."""
    match = _BASE_URL.fullmatch(value)
    if match is None:
        raise ValueError(
            "must be http:// or https:// with a host and optionally a port:"
            " no user, no path, no query"
        )
    return f"{match[1].lower()}://{check_host_and_port(match[2])}"


def check_path(value: str) -> str:
    """Check the path of a request target, with its query if there is one."""
    if not value.startswith("/") or value.startswith("//"):
        raise ValueError("must begin with one /")
    if "#" in value:
        raise ValueError("must not have a fragment")
    if not _PATH.fullmatch(value):
        raise ValueError(
            "must be printable ASCII without spaces or line breaks; percent-encode everything else"
        )
    if any(_DOTS.fullmatch(segment) for segment in value.partition("?")[0].split("/")):
        raise ValueError("must not have . or .. as a segment; write the resulting path")
    return value


def check_header_text(value: str) -> str:
    """Return text that can be the value of a header field (RFC 9110 5.5)."""
    if _CONTROLS.search(value):
        raise ValueError("must not hold CR, LF, NUL or another control character")
    if value != value.strip(" \t"):
        raise ValueError("must not begin or end with white space")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("must hold latin-1 characters only") from None
    return value


def check_name(value: str) -> str:
    """Return a name that the mesh may show in a header field, a log line or a metric."""
    if not value:
        raise ValueError("must not be empty")
    return check_header_text(value)


def check_header_name(value: str) -> str:
    """Return the lower-case name of a header field (RFC 9110 5.1)."""
    if value != value.lower():
        raise ValueError("must be in lower case, as a header name")
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not a header name: use letters, digits and -")
    return value


def check_variable_name(value: str) -> str:
    """Return the name of an environment variable."""
    if not _VARIABLE.fullmatch(value):
        raise ValueError("must be the name of an environment variable: letters, digits and _")
    return value


def check_file_name(value: str) -> str:
    """Return a path in the file system, which need not exist."""
    if not value:
        raise ValueError("must not be empty")
    if _CONTROLS.search(value):
        raise ValueError("must be the path of a file, without control characters")
    return value


def check_secret_name(value: str) -> str:
    """Return the name of a Kubernetes Secret, which is a DNS name."""
    if not _SECRET_NAME.fullmatch(value):
        raise ValueError("must be the name of a Secret: lower-case letters, digits, - and .")
    return value


def check_secret_key(value: str) -> str:
    """Return a key in the data of a Kubernetes Secret."""
    if not _SECRET_KEY.fullmatch(value):
        raise ValueError("must be a key of a Secret: letters, digits, -, _ and .")
    return value
