"""A project that knows nothing of mk0r: the vendors' own SDKs, pointed nowhere but by the environment."""

# pyright: basic, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# (the project is anybody's, and one SDK is untyped)

from __future__ import annotations

import os

import anthropic
import github
import posthog
import resend
from e2b import Sandbox
from neon_api import NeonAPI

sent = resend.Emails.send(
    {"from": "app@mk0r.localhost", "to": "delivered@resend.dev", "subject": "Hello", "text": "Hi"}
)
print("mail", sent["id"])

neon = NeonAPI(os.environ["NEON_API_KEY"], base_url=os.environ["NEON_API_HOST"] + "/")
made = neon.project_create(project={"name": "not-mk0r"})
print("database", made.project.id)
neon.project_delete(made.project.id)

hub = github.Github(auth=github.Auth.Token(os.environ["GITHUB_TOKEN"]), base_url=os.environ["GITHUB_API_URL"])
repository = hub.get_user().create_repo("not-mk0r", private=True)
print("repository", repository.full_name)
repository.delete()

as_app = github.Auth.AppAuth(os.environ["GITHUB_APP_ID"], os.environ["GITHUB_APP_PRIVATE_KEY"])
installed = as_app.get_installation_auth(
    int(os.environ["GITHUB_APP_INSTALLATION_ID"]),
    requester=github.Github(base_url=os.environ["GITHUB_API_URL"]).requester,
)
print("app", len(installed.token) > 30)

analytics = posthog.Posthog(os.environ["POSTHOG_KEY"], host=os.environ["POSTHOG_HOST"], sync_mode=True)
print("event", analytics.capture("hello", distinct_id="ada"))

private = posthog.Posthog(
    os.environ["POSTHOG_KEY"], host=os.environ["POSTHOG_HOST"], personal_api_key=os.environ["POSTHOG_PERSONAL_API_KEY"]
)
private.load_feature_flags()
print("flags", private.feature_flag_definitions())
private.shutdown()

with Sandbox.create() as sandbox:
    print("sandbox", sandbox.commands.run("echo $((6 * 7))").stdout.strip())

for model in anthropic.Anthropic().models.list():
    print("model", model.id)
