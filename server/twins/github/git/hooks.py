"""The two hooks that are ours: they judge a push before, and while, its refs are moved.

They are written in the shell, because whoever git runs as may be unable to reach our interpreter, and lie where
that identity can read but not write. A repository's own hooks never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE = 100 * 2**20
"""Bytes; GitHub takes no larger file (GitHub docs, "About large files on GitHub")."""

_PRE_RECEIVE = f"""#!/bin/sh
# Refuses files that are too large, as GitHub does.
zero=0000000000000000000000000000000000000000
status=0
while read -r _ new ref; do
  [ "$new" = "$zero" ] && continue
  large=$(git rev-list --objects "$new" --not --all |
    git cat-file --batch-check='%(objecttype) %(objectsize) %(rest)' |
    awk '$1 == "blob" && $2 > {LARGEST_FILE} {{
      size = $2 / 1048576; $1 = ""; $2 = ""; sub(/^ +/, "")
      printf "error: File %s is %.2f MB; ", $0, size
      print "this exceeds GitHub'"'"'s file size limit of 100.00 MB" }}')
  if [ -n "$large" ]; then
    printf '%s\\n' "error: GH001: Large files detected." "$large" >&2
    status=1
  fi
done
exit $status
"""

_PROC_RECEIVE = r"""#!/bin/sh
# Refuses to move a ref to commits that touch workflows; leaves every other ref to git.
# The conversation is git's own (githooks, "proc-receive"): packets of four hexadecimal digits and data.
zero=0000000000000000000000000000000000000000
packet() {
  size=$(dd bs=1 count=4 2>/dev/null)
  [ ${#size} = 4 ] || exit 1
  [ "$size" = 0000 ] && return 1
  data=$(dd bs=1 count=$((0x$size - 4)) 2>/dev/null | tr '\000' ' ')
}
say() {
  printf '%04x%s' $((${#1} + 4)) "$1"
}
while packet; do :; done
say 'version=1'
printf 0000
while packet; do
  rest=${data#* }; new=${rest%% *}; ref=${rest#* }
  path=''
  if [ "$new" != "$zero" ]; then
    path=$(git log -c --format= --name-only --diff-filter=d "$new" --not --all -- .github/workflows | head -n 1)
  fi
  if [ -n "$path" ]; then
    say "ng $ref $TWIN_REFUSAL \`$path\` without $TWIN_WANTED"
  else
    say "ok $ref"
    say 'option fall-through'
  fi
done
printf 0000
"""


def write_hooks(folder: Path) -> None:
    """Anew at every start, so that they are always these."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for name, script in (("pre-receive", _PRE_RECEIVE), ("proc-receive", _PROC_RECEIVE)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)


def judging_workflows(who: str, wanted: str) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and variables for a push by somebody who may not touch workflows."""
    refusal = f"refusing to allow a {who} to create or update workflow"
    return {"receive.procReceiveRefs": "refs"}, {"TWIN_REFUSAL": refusal, "TWIN_WANTED": wanted}
