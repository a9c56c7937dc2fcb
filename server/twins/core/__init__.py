"""What every twin is made from. A twin is `build(site, **parts) -> Starlette`, and `app()` makes that app."""

from server.twins.core.app import Twin, app
from server.twins.core.errors import WireError
from server.twins.core.faults import Fault, Faults
from server.twins.core.keep import Keep
from server.twins.core.limits import RateLimit, Verdict
from server.twins.core.records import Records
from server.twins.core.site import Site

__all__ = ["Fault", "Faults", "Keep", "RateLimit", "Records", "Site", "Twin", "Verdict", "WireError", "app"]
