"""What of GitHub's REST API is answered here, but not as a whole. What is not routed at all is answered 404."""

from __future__ import annotations

_CREATION = "license_template, gitignore_template, team_id and custom_properties are not looked at"
_UNSIGNED = "signatures are kept and shown, never checked: `verified` is always false"
_NO_HTML = "the `html` media type is answered 415: nothing is rendered"

PARTIAL: dict[str, str] = {
    "POST /user/repos": _CREATION,
    "POST /orgs/{org}/repos": _CREATION,
    "PATCH /repos/{owner}/{repo}": "security_and_analysis and the texts of merge commits are not looked at",
    "GET /user/repos": "`since` and `before` are not looked at",
    "GET /orgs/{org}/repos": "the types `forks`, `sources` and `internal` are not told apart",
    "POST /repos/{owner}/{repo}/transfer": (
        "team_ids are not looked at; a person consents through POST /_twin/transfers/{id} instead of a link in a mail"
    ),
    "GET /repos/{owner}/{repo}/contents/{path}": _NO_HTML,
    "GET /repos/{owner}/{repo}/readme": _NO_HTML,
    "GET /repos/{owner}/{repo}/readme/{dir}": _NO_HTML,
    "GET /repos/{owner}/{repo}/languages": "told by the names of files alone, without linguist's rules",
    "GET /repos/{owner}/{repo}/branches": "no branch is ever protected: there are no protection rules and no rulesets",
    "GET /repos/{owner}/{repo}/branches/{branch}": "no branch is ever protected",
    "GET /repos/{owner}/{repo}/branches/{branch}/protection": "always 404, Branch not protected",
    "GET /repos/{owner}/{repo}/commits": _UNSIGNED,
    "GET /repos/{owner}/{repo}/commits/{ref}": _UNSIGNED,
    "POST /repos/{owner}/{repo}/git/commits": _UNSIGNED,
    "GET /repos/{owner}/{repo}/git/tags/{tag_sha}": _UNSIGNED,
    "GET /repos/{owner}/{repo}/compare/{basehead}": "within one repository: there are no forks",
    "POST /repos/{owner}/{repo}/keys": "keys are checked and kept, but there is no SSH here for them to open",
    "GET /repos/{owner}/{repo}/collaborators": "there are no teams; an organisation's members have its base role, read",
    "PUT /repos/{owner}/{repo}/collaborators/{username}": "the 50 invitations a day of a repository are not counted",
    "GET /orgs/{org}/members": "every membership is private, so strangers see none; `filter` is not looked at",
    "GET /users/{username}": "an App's bot has no user",
    "GET /user/installations": "there are no user access tokens of an App: a personal access token stands for one",
    "GET /rate_limit": "core is counted; the other resources stand untouched, as nothing here uses them",
    "GET /meta": "without addresses, keys and domains: they are GitHub's",
}

OTHER_NAMES = {"/repositories/{repository_id}": "/repos/{owner}/{repo}", "/{owner}/{repo}.git": "/{owner}/{repo}"}
"""Paths under which the same routes are served: from another, to the one they are told under."""

_ALL = "as with an empty path"
_A_PAGE = "github.com's page, as a page of this twin"
BESIDE: dict[str, str] = {
    "GET /{owner}/{repo}/info/refs": "git's smart HTTP: what there is to fetch or push onto, with and without `.git`",
    "POST /{owner}/{repo}/git-upload-pack": "fetch and clone; there is no SSH and no LFS (`/info/lfs` is answered 404)",
    "POST /{owner}/{repo}/git-receive-pack": "push",
    "GET /repos/{owner}/{repo}/contents": _ALL,
    "GET /repos/{owner}/{repo}/tarball": _ALL,
    "GET /repos/{owner}/{repo}/zipball": _ALL,
    "GET /repos/{owner}/{repo}/git/matching-refs": _ALL,
    "GET /repos/{owner}/{repo}/git/refs": "every reference, as it was called before",
    "GET /repos/{owner}/{repo}/git/refs/{ref}": "a reference, as it was called before",
    "GET /{owner}/{repo}/legacy.{kind}/{ref}": "where a download leads to (codeload.github.com)",
    "GET /{owner}/{repo}/raw/{path}": "a file's `download_url` (raw.githubusercontent.com)",
    "GET /avatars/u/{id}": "an `avatar_url`",
    "GET /{owner}": _A_PAGE,
    "GET /{owner}/{repo}": _A_PAGE,
    "GET /{owner}/{repo}/tree/{path}": _A_PAGE,
    "GET /{owner}/{repo}/blob/{path}": _A_PAGE,
    "GET /{owner}/{repo}/commit/{sha}": _A_PAGE,
    "GET /{owner}/{repo}/commits/{ref}": _A_PAGE,
    "GET /_twin/app": "the GitHub App: its id, private key and installations",
    "POST /_twin/app/installations": "installs it on an account",
    "GET /_twin/transfers": "transfers that wait for consent",
    "POST /_twin/transfers/{id}": "consents to one, or refuses",
    "POST /_twin/users": "a person",
    "POST /_twin/organizations": "an organization",
    "PUT /_twin/organizations/{org}/members/{login}": "makes a person its member, or owner",
    "POST /_twin/tokens": "a personal access token, classic with `scopes` or fine-grained with permissions",
}
"""What is served and stands in no description."""
