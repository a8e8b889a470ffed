"""What runs on a cluster's YARN: list it, kill it. The ResourceManager's REST interface is asked."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from hcluster.errors import DeadlineError
from hcluster.executors.application import Application, application_of, meant, yarn_states
from hcluster.executors.rest import Rest, listed
from hcluster.model.events import Progress, Report, silent
from hcluster.ports import Clock, Remote

PORT = 8088
_APPS = "/ws/v1/cluster/apps"
_POLL_SECONDS = 0.5
_KILL_SECONDS = 60.0


class ResourceManager:
    """The ResourceManager on ``host``, as the node of ``remote`` sees it. Raises what ``Rest`` raises."""

    def __init__(self, remote: Remote, host: str, clock: Clock) -> None:
        self._rest = Rest(remote, host, PORT, what="the ResourceManager", unit="hadoop-resourcemanager")
        self._clock = clock

    def applications(self, states: Sequence[str] = (), user: str = "") -> list[Application]:
        """Those in one of ``states`` (all when empty), of ``user`` when given; the newest first."""
        asked = {"states": ",".join(yarn_states(states)), "user": user, "deSelects": "resourceRequests"}
        told = self._rest.get(f"{_APPS}?{urlencode({key: value for key, value in asked.items() if value})}")
        # Without any application "apps" is null.
        found = [application_of(each) for each in (told.get("apps") or {}).get("app") or ()]
        chosen = [one for one in found if not states or one.state in states]
        return sorted(chosen, key=lambda one: (one.started, one.id), reverse=True)

    def meant(self, given: str) -> Application:
        """The application that somebody means, see ``application.meant``."""
        return meant(given, self.applications())

    def application(self, application: str) -> Application:
        """One by its whole id."""
        return application_of(self._rest.get(f"{_APPS}/{application}")["app"])

    def kill(self, application: str, report: Report = silent, timeout: float = _KILL_SECONDS) -> Application:
        """Kill it and wait for its end; how it ended, which for one that has ended before is as it was.

        Raises:
            DeadlineError: it did not end within ``timeout`` seconds; it will when YARN gets to it.
        """
        ends = self._clock.now() + timeout
        found = self.application(application)
        while found.live:
            # Again each time: an application that has not been accepted yet forgets the first.
            self._rest.put(f"{_APPS}/{application}/state", {"state": "KILLED"})
            report(Progress(application, f"{application}: killing"))
            found = self.application(application)
            if found.live:
                if self._clock.now() >= ends:
                    raise DeadlineError(
                        f"{application} did not end within {timeout:.0f} s of being killed",
                        context=found.diagnostics,
                        hint="it ends when YARN gets to it; see `hcluster job list NAME`",
                    )
                self._clock.sleep(_POLL_SECONDS)
        report(Progress(application, f"{application}: {found.state}", state="ok"))
        return found

    def containers(self, application: str) -> list[tuple[str, str]]:
        """(container, HOST:PORT of its NodeManager's web server) of all that run now, the ApplicationMaster's first."""
        found: dict[str, str] = {}
        for attempt in self._attempts(application):
            told = self._rest.get(f"{_APPS}/{application}/appattempts/{attempt}/containers")
            for each in listed(told.get("container")):
                found[str(each["containerId"])] = str(each["nodeHttpAddress"]).removeprefix("http://")
        return sorted(found.items())

    def _attempts(self, application: str) -> list[str]:
        told = self._rest.get(f"{_APPS}/{application}/appattempts")
        attempts = listed((told.get("appAttempts") or {}).get("appAttempt"))
        return [str(each["appAttemptId"]) for each in attempts]
