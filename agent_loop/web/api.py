"""The API: what a command and the page send. A session's key opens that session; the operator's token any."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_loop import idea as ideas
from agent_loop.web import events, examples
from agent_loop.web.asked import bearer, body, limits, service_names
from agent_loop.web.boot import error_view
from server.errors import BadInput, LegError, Mk0rError, StackError, UnknownSession, UserError
from server.settings import LEGS, chosen_services, named_legs

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from agent_loop.web.boot import Boot, Parts
    from server.books.sessions import Session, SessionKey
    from server.secrets import Secret
    from server.settings import LegName

RESUME_SECONDS = 60.0
DESTROY_WAITS_SECONDS = 70.0  # what is just being made has its time to be there, so that it can be removed


class Api:
    """The session routes over one `Boot`."""

    def __init__(self, boot: Boot, token: Secret) -> None:
        self._boot = boot
        self._token = token

    def routes(self) -> list[Route]:
        one = "/api/sessions/{slug}"
        return [
            Route("/api/stack", self.stack),
            Route("/api/examples", self.examples),
            Route("/api/sessions", self.create, methods=["POST"]),
            Route(one, self.show),
            Route(one, self.destroy, methods=["DELETE"]),
            Route(f"{one}/events", self.events),
            Route(f"{one}/runs", self.run, methods=["POST"]),
            Route(f"{one}/stop", self.stop, methods=["POST"]),
            Route(f"{one}/resume", self.resume, methods=["POST"]),
            Route(f"{one}/wake", self.wake, methods=["POST"]),
            Route(f"{one}/services", self.provision, methods=["POST"]),
            Route(f"{one}/env", self.env),
            Route(f"{one}/env/reveal", self.reveal, methods=["POST"]),
            Route("/relay/contacts/mk0r-{slug}", self.contact, methods=["POST"]),
        ]

    async def stack(self, request: Request) -> Response:
        return JSONResponse(self._boot.view(), headers=NO_STORE)

    async def examples(self, request: Request) -> Response:
        """Ideas to begin with. `rehearsal`: whether they are all that can be played here; null until that is known."""
        parts = self._boot.parts
        rehearsal = parts.runs.rehearses if parts else None
        return JSONResponse({"examples": examples.ideas(), "rehearsal": rehearsal}, headers=NO_STORE)

    async def create(self, request: Request) -> Response:
        asked = await body(request)
        idea = ideas.checked(asked.get("idea"))
        services = chosen_services(service_names(asked))
        within = limits(asked)
        parts = self.parts()
        parts.runs.model(within["model"])
        key = await parts.core.pool.claim(idea, services) or await self._begun(idea, services)
        run = await parts.runs.start(key.slug, idea, **within)
        answer = {"session_key": key.reveal(), "slug": key.slug, "app_id": f"mk0r-{key.slug}", "run": run}
        return JSONResponse(answer, status_code=201, headers=NO_STORE)

    async def _begun(self, idea: str, services: tuple[LegName, ...]) -> SessionKey:
        """The key of a new session, whose provisioning has begun."""
        core = self.parts().core
        key = core.sessions.mint()
        session = core.sessions.open(key, idea=idea, services=services)
        told = {"slug": session.slug, "app_id": session.app_id, "idea": idea}
        core.events.append(session.slug, "session.created", told)
        await core.provisioner.start(session.slug, services)
        return key

    async def show(self, request: Request) -> Response:
        session = self.session(request)
        told = self.parts().core.events.since(session.slug, 0)
        last_seq = told[-1].seq if told else 0
        [view] = await self.view(session)
        return JSONResponse(view | {"last_seq": last_seq}, headers=NO_STORE)

    async def events(self, request: Request) -> Response:
        session = self.session(request)
        return events.stream(request, self.parts().core.events, session.slug)

    async def run(self, request: Request) -> Response:
        session = self.session(request)
        asked = await body(request)
        idea = ideas.checked(asked.get("idea"))
        run = await self.parts().runs.start(session.slug, idea, **limits(asked))
        return JSONResponse({"slug": session.slug, "run": run}, status_code=202, headers=NO_STORE)

    async def stop(self, request: Request) -> Response:
        """Break off the session's run; what it has made stays. Asked twice, the second finds nothing to stop."""
        session = self.session(request)
        run = await self.parts().runs.stop(session.slug)
        return JSONResponse({"slug": session.slug, "run": run, "stopped": run is not None}, headers=NO_STORE)

    async def resume(self, request: Request) -> Response:
        """Wake the VM, ask again for what failed, and go on with a run that did not get to its end."""
        session = self.session(request)
        parts = self.parts()
        await parts.core.provisioner.start(session.slug, tuple(session.services))
        session = await parts.core.provisioner.wait(session.slug, RESUME_SECONDS)
        if problem := session.leg("vm").error:
            raise LegError(problem.message, code=problem.code, next_action=problem.next_action)
        await parts.core.machines.restore(session)
        session = parts.core.sessions.by_slug(session.slug)
        last = parts.runs.last(session.slug)
        run = None
        if last is not None and last["outcome"] not in (None, "done"):
            run = await parts.runs.start(session.slug, last["idea"], model=last["model"], budget_usd=last["budget_usd"])
        [view] = await self.view(session)
        return JSONResponse(view | {"run": run}, headers=NO_STORE)

    async def wake(self, request: Request) -> Response:
        """Returns when the VM is awake and its app up: before an app is shown that nobody looked at for a while."""
        session = self.session(request)
        await self.parts().core.machines.restore(session)
        [view] = await self.view(self.session(request))
        return JSONResponse(view, headers=NO_STORE)

    async def provision(self, request: Request) -> Response:
        """Make the services named, and only those; or all that are missing. What stands already is left alone."""
        session = self.session(request)
        names = service_names(await body(request))
        asked = LEGS if names is None else named_legs(names)
        missing: list[LegName] = [name for name in LEGS if name in asked and not session.leg(name).stands]
        await self.parts().core.provisioner.start(session.slug, missing)
        return JSONResponse({"slug": session.slug, "services": missing}, status_code=202, headers=NO_STORE)

    async def destroy(self, request: Request) -> Response:
        session = self.session(request)
        parts = self.parts()
        await parts.runs.stop(session.slug)
        await parts.core.provisioner.wait(session.slug, DESTROY_WAITS_SECONDS)
        await parts.core.provisioner.destroy(session.slug)
        return JSONResponse({"slug": session.slug, "destroyed": True}, headers=NO_STORE)

    async def env(self, request: Request) -> Response:
        session = self.session(request)
        vault = self.parts().core.vault
        legs = vault.legs_of(session.slug)
        values = vault.get(session.slug, legs=session.services)
        listed = [
            {"name": name, "leg": legs[name], "fingerprint": values[name].fingerprint()}
            for name in session.env_names
            if name in values
        ]
        return JSONResponse({"slug": session.slug, "env": listed}, headers=NO_STORE)

    async def reveal(self, request: Request) -> Response:
        """The owner's door to the values: the one answer that carries them."""
        session = self.session(request)
        values = self.parts().core.vault.get(session.slug, legs=session.services)
        told = {name: values[name].reveal() for name in session.env_names if name in values}
        return JSONResponse(told, headers=NO_STORE)

    async def contact(self, request: Request) -> Response:
        """The contacts relay, for the app itself: its token adds to its own audience and opens nothing else."""
        asked = await body(request)
        texts = [asked.get(name, "") for name in ("email", "first_name", "last_name")]
        if not all(isinstance(text, str) and len(text) <= 300 for text in texts):  # noqa: PLR2004 - no name is longer
            raise BadInput("A contact has a short `email`, and may have `first_name` and `last_name`.")
        contact_id = await self.parts().core.contacts.add(request.path_params["slug"], bearer(request), *texts)
        return JSONResponse({"id": contact_id}, status_code=201, headers=NO_STORE)

    def parts(self) -> Parts:
        """Everything behind the routes. Raises `StackError` while it is not there yet."""
        if self._boot.parts is not None:
            return self._boot.parts
        raise self._boot.error or StackError(
            "The server is still starting.",
            next_action="Ask again in a moment; GET /api/stack says how far it is.",
            code="starting",
        )

    def session(self, request: Request) -> Session:
        """The session in the path, if the bearer may open it. Raises `UnknownSession`."""
        slug = request.path_params["slug"]
        sessions = self.parts().core.sessions
        if not self.is_operator(request):
            session = sessions.authenticate(bearer(request))
            if session.slug != slug:
                raise UnknownSession
            return session
        try:
            session = sessions.by_slug(slug)
        except UnknownSession:
            session = None
        if session is None or session.state == "destroyed":
            known = "`mk0r sessions` lists those there are."
            raise UserError(f"There is no session {slug}.", next_action=known, code=UnknownSession.code)
        sessions.note_use(slug)
        return session

    async def view(self, *sessions: Session) -> list[dict[str, Any]]:
        """Sessions as every view shows them."""
        doors = await self.parts().doors.all()
        return [
            session.model_dump(mode="json")
            | {
                "env_names": session.env_names,
                "preview_url": session.preview_url,
                "local_preview_url": doors.get(session.sandbox_id or ""),
                "repository_url": session.repository_url,
                "sandbox_id": session.sandbox_id,
                "psql": f"mk0r psql {session.slug}",
            }
            for session in sessions
        ]

    def is_operator(self, request: Request) -> bool:
        return hmac.compare_digest(bearer(request).encode(), self._token.reveal().encode())


NO_STORE = {"cache-control": "no-store"}
STATUS: list[tuple[Callable[[Mk0rError], bool], int]] = [
    (lambda error: error.code == UnknownSession.code, 404),
    (lambda error: error.code == "busy", 409),
    (lambda error: isinstance(error, UserError), 400),
    (lambda error: isinstance(error, StackError), 503),
]


async def on_error(request: Request, error: Exception) -> Response:
    """Our own errors as JSON: our sentence and the next action, nothing of a vendor's."""
    if not isinstance(error, Mk0rError):
        raise error
    status = next((status for applies, status in STATUS if applies(error)), 502)
    headers = {**NO_STORE, **({"retry-after": "1"} if error.code == "starting" else {})}
    return JSONResponse({"error": error_view(error)}, status_code=status, headers=headers)
