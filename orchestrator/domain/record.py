"""The record: what a minion needs to know, kept in the master's cache (bank `brinepool/servers`, key = minion id).

Written by our runner, delivered by our ext_pillar, shared by the orchestrator and the Salt extension.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from . import names
from .template import AppName, Branch, Command, Repository, Role, RoleName, TemplateName, Variable

BANK = "brinepool/servers"
TOMBSTONES = "brinepool/tombstones"

Address = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.:\[\]-]+$", max_length=255)]
OperationId = Annotated[str, StringConstraints(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]  # a ULID: sorts by time
ServerId = Annotated[str, StringConstraints(pattern=f"^{names.SERVER.pattern}$", max_length=80)]


class Record(BaseModel):
    """One server's record. `siblings` maps a needed role to the `address:port` of its servers.

    `address` is None from the request until the server was created.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    operation: OperationId
    server: ServerId
    template: TemplateName
    environment: str = Field(pattern=f"^{names.ENVIRONMENT.pattern}$", max_length=names.ENVIRONMENT_MAX)
    role: RoleName
    app: AppName
    repository: Repository
    branch: Branch
    build: tuple[Command, ...] = ()
    run: Command
    port: int = Field(ge=1, le=65535)
    health: str = Field(pattern=r"^/\S*$")
    health_deadline: int = Field(120, ge=1, description="seconds")
    needs: dict[Variable, RoleName] = {}
    address: Address | None = None
    siblings: dict[RoleName, list[Address]] = {}

    @model_validator(mode="after")
    def _named_after_its_environment(self) -> Self:
        if names.split_server_id(self.server) is None or not self.server.startswith(f"{self.environment}-{self.role}-"):
            raise ValueError(
                f"server {self.server} is not named after environment {self.environment}, role {self.role}"
            )
        return self

    def wiring(self) -> dict[str, str]:
        """The variables that point at siblings: `{"API_URL": "http://127.23.0.5:8000"}`."""
        return {
            variable: ",".join(f"http://{address}" for address in self.siblings.get(role, []))
            for variable, role in self.needs.items()
        }


def record_for(
    operation: str, template: str, environment: str, server: str, role_name: str, role: Role, branch: str, health: int
) -> Record:
    """The record of a server that is about to be created; `health` is the health deadline in seconds."""
    return Record(
        operation=operation, server=server, template=template, environment=environment, role=role_name, app=role.app,
        repository=role.repository, branch=branch, build=role.build, run=role.run, port=role.port, health=role.health,
        health_deadline=health, needs=role.needs,
    )  # fmt: skip
