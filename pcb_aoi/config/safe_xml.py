"""XML that others wrote: no document type, whose entities could grow to gigabytes or name files of this machine."""

from __future__ import annotations

from xml.parsers import expat


class _DocumentType(Exception):
    """Expat has come to a DOCTYPE."""


def has_document_type(content: bytes) -> bool:
    """Whether a document declares a type, in whatever encoding it is; a damaged one is judged up to its fault."""

    def found(*_: object) -> None:
        raise _DocumentType

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = found
    try:
        parser.Parse(content, True)
    except _DocumentType:
        return True
    except (expat.ExpatError, ValueError, LookupError):  # of an encoding that is not known, too
        return False
    return False
