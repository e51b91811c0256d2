"""What the reaper keeps. The contract is `ports.ReaperBook`'s."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from orchestrator.domain.leaks import LeakKind, Sighting, Sightings
from orchestrator.domain.reaping import Cause, GoneBranch, Warned
from orchestrator.ports import JobRun

from .tables import audit, console_messages, events, gone_branches, job_runs, noticed_causes, sightings, warnings

_LOCK = 0x72656170  # any number that nothing else in the database uses
_WITH_DATES = {"events": events, "audit": audit, "console": console_messages}


class SqlReaperBook:
    """The reaper's book in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def alone(self) -> None:
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        else:  # SQLite takes its one write lock at the first statement that could write, and not at those that read
            self._session.execute(sa.delete(job_runs).where(sa.false()))

    # Warnings

    def warnings(self) -> dict[str, tuple[Warned, ...]]:
        found: dict[str, tuple[Warned, ...]] = {}
        for row in self._session.execute(sa.select(warnings).order_by(warnings.c.at)):
            step = timedelta(seconds=row.step_s)
            warned = Warned(Cause(row.cause), row.due_at, step, row.at, row.delivered_at)
            found[row.environment] = (*found.get(row.environment, ()), warned)
        return found

    def add_warning(self, environment: str, warned: Warned, event: int) -> None:
        values = {
            "environment": environment, "cause": warned.cause, "due_at": warned.due_at,
            "step_s": warned.step.total_seconds(), "at": warned.at, "event": event,
        }  # fmt: skip
        self._session.execute(sa.insert(warnings).values(values))

    def delivered(self, event: int, at: datetime) -> None:
        mine = (warnings.c.event == event) & warnings.c.delivered_at.is_(None)
        self._session.execute(sa.update(warnings).where(mine).values(delivered_at=at))

    def forget_environment(self, environment: str) -> None:
        for table in (warnings, noticed_causes, gone_branches):
            self._session.execute(sa.delete(table).where(table.c.environment == environment))

    # Causes

    def noticed(self) -> dict[str, dict[Cause, datetime]]:
        found: dict[str, dict[Cause, datetime]] = {}
        for row in self._session.execute(sa.select(noticed_causes)):
            found.setdefault(row.environment, {})[Cause(row.cause)] = row.since
        return found

    def set_noticed(self, noticed: Mapping[str, Mapping[Cause, datetime]]) -> None:
        self._session.execute(sa.delete(noticed_causes))
        rows = [
            {"environment": environment, "cause": cause, "since": since}
            for environment, causes in noticed.items()
            for cause, since in causes.items()
        ]
        if rows:
            self._session.execute(sa.insert(noticed_causes), rows)

    def gone(self) -> dict[str, tuple[GoneBranch, ...]]:
        found: dict[str, tuple[GoneBranch, ...]] = {}
        for row in self._session.execute(sa.select(gone_branches).order_by(gone_branches.c.role)):
            branch = GoneBranch(row.role, row.branch, row.checks, row.first_noticed)
            found[row.environment] = (*found.get(row.environment, ()), branch)
        return found

    def set_gone(self, environment: str, role: str, gone: GoneBranch | None) -> None:
        mine = (gone_branches.c.environment == environment) & (gone_branches.c.role == role)
        self._session.execute(sa.delete(gone_branches).where(mine))
        if gone is not None:
            values = {"branch": gone.branch, "checks": gone.checks, "first_noticed": gone.first_noticed}
            self._session.execute(sa.insert(gone_branches).values(environment=environment, role=role, **values))

    # Leaks

    def sightings(self) -> dict[tuple[LeakKind, str], Sighting]:
        found = self._session.execute(sa.select(sightings))
        return {(LeakKind(row.kind), row.subject): Sighting(row.since, row.times) for row in found}

    def set_sightings(self, sighted: Sightings) -> None:
        self._session.execute(sa.delete(sightings))
        rows = [
            {"kind": kind, "subject": subject, "since": each.since, "times": each.times}
            for (kind, subject), each in sighted.items()
        ]
        if rows:
            self._session.execute(sa.insert(sightings), rows)

    # Runs

    def run(self, run: str) -> JobRun | None:
        row = self._session.execute(sa.select(job_runs).where(job_runs.c.id == run)).first()
        return JobRun(**row._mapping) if row else None

    def newest_run(self, job: str) -> JobRun | None:
        query = sa.select(job_runs).where(job_runs.c.job == job).order_by(job_runs.c.due_at.desc()).limit(1)
        row = self._session.execute(query).first()
        return JobRun(**row._mapping) if row else None

    def run_before(self, run: JobRun) -> JobRun | None:
        earlier = (job_runs.c.job == run.job) & (job_runs.c.due_at < run.due_at)
        query = sa.select(job_runs).where(earlier).order_by(job_runs.c.due_at.desc()).limit(1)
        row = self._session.execute(query).first()
        return JobRun(**row._mapping) if row else None

    def open_runs(self) -> list[JobRun]:
        query = sa.select(job_runs).where(job_runs.c.ended_at.is_(None)).order_by(job_runs.c.due_at)
        return [JobRun(**row._mapping) for row in self._session.execute(query)]

    def add_run(self, run: JobRun) -> bool:
        if self.run(run.id) is not None:
            return False
        try:
            with self._session.begin_nested():
                self._session.execute(sa.insert(job_runs).values(run.__dict__))
        except sa.exc.IntegrityError:  # another process, at the same moment
            return False
        return True

    def change_run(self, run: str, **changes: Any) -> None:
        self._session.execute(sa.update(job_runs).where(job_runs.c.id == run).values(changes))

    # Retention

    def forget(self, what: str, before: datetime, limit: int) -> int:
        table = _WITH_DATES[what]
        oldest = sa.select(table.c.seq).where(table.c.at < before).order_by(table.c.seq).limit(limit)
        return self._count(sa.delete(table).where(table.c.seq.in_(oldest.scalar_subquery())))

    def forget_runs(self, before: datetime, limit: int) -> int:
        newest = sa.select(sa.func.max(job_runs.c.due_at)).group_by(job_runs.c.job)
        old = job_runs.c.ended_at.is_not(None) & (job_runs.c.due_at < before) & job_runs.c.due_at.not_in(newest)
        oldest = sa.select(job_runs.c.id).where(old).limit(limit)
        return self._count(sa.delete(job_runs).where(job_runs.c.id.in_(oldest.scalar_subquery())))

    def _count(self, statement: Any) -> int:
        return int(self._session.execute(statement).rowcount)  # type: ignore[attr-defined]
