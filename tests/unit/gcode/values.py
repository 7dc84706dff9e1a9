"""Texts and values that Klipper, shlex, str.strip(), str.upper() or JSON treat specially."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from hypothesis import strategies as st

# Characters that Klipper, shlex, str.strip(), str.upper() or JSON treat specially
NASTY = (
    "'\"\\#*;=/,{}()% \t\n\r\x0b\x0c\x1c\x1d\x1e\x85\xa0\u2028\u2029\0NMGT15xaeß\u0131\u017f\u212a"
    "\ud800\udfff"
)


texts = (
    st.text(st.sampled_from(NASTY))
    | st.text()
    | st.sampled_from(
        ["M112", "\nM112", "'\nM112\n'", "A' B='1", 'A" B="1', "1 Y20", "INTERRUPT", " " * 40, "\\"]
    )
)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
