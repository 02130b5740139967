"""How people name columns and tables, as data: words by language, and what they stand for.

General knowledge, written down by theme; no schema is in here. `english`, `german`, `romance` and `other`
turn words and abbreviations into the concepts that `people`, `reach`, `access`, `money` and `writing` have
rules for; `tables` says what a table of a name holds, `modifiers` what stands beside a concept.
"""
