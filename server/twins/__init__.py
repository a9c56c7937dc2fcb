"""Local programs that speak the vendors' own protocols over real parts. Who has read one has read all:

| in each vendor's package | |
|---|---|
| `__init__` | `build(site, **parts)`: the app, from its parts |
| `routes` | wire in, wire out: who may ask what, and what it is answered |
| `state` | the rules over the real parts (PostgreSQL, git, mailbox, sandboxes) and what is kept |
| `errors` | the vendor's bodies, word for word |
| `limits` | `Limits`: what the vendor counts, and its refusal |
| `operator` | the twin's own doors, behind its admin token |
| `view` | `Viewing`: the page for a person |
| `coverage` | what is missing, and what is served beside the vendor's description |

`core` has what they share: the app with the faults in front, keys, ids, paging, records, snapshots, the clock.
"""
