"""Settings: typed, validated once, from environment variables (`BRINE_…`) and one file, `<home>/settings.toml`.

Environment variables win over the file. `load()` is called by the front doors; nothing reads settings at import.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from .domain import schedule
from .domain.caps import Cap, Caps
from .domain.durations import parse_duration
from .domain.errors import BadInput

CHECKOUT = Path(__file__).resolve().parent.parent


class ProviderCaps(BaseModel):
    """Caps of one provider; left out: the usual ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    building_at_once: int | None = Field(None, ge=1)
    servers_in_all: int | None = Field(None, ge=1)


class Settings(BaseSettings):
    """Every setting, with its default. Paths are absolute after loading. docs/settings.md is generated from this."""

    model_config = SettingsConfigDict(env_prefix="BRINE_", extra="forbid", frozen=True)

    home: Path = Field(Path("var"), description="State and secrets of this installation.")
    site: Path = Field(CHECKOUT, description="What ops curate: templates/, envfiles/, salt/, access.yaml.")
    address: str | None = Field(
        None, description="Where Brinepool itself listens. Default: the first address of the home's own loopback /16."
    )
    port: int = Field(8420, ge=1, le=65535, description="Brinepool's HTTP port.")
    salt_api_port: int = Field(8421, ge=1, le=65535, description="The embedded salt-api's port.")
    salt_publish_port: int = Field(4505, ge=1, le=65535, description="The embedded salt-master's publish port.")
    salt_return_port: int = Field(4506, ge=1, le=65535, description="The embedded salt-master's return port.")
    url: str | None = Field(None, description="The Brinepool server the command line talks to. Default: this home's.")
    token: str | None = Field(None, description="The token the command line uses. Default: this home's admin token.")
    database_url: str | None = Field(None, description="An SQLAlchemy URL. Default: brinepool.sqlite in the home.")
    salt_api_url: str | None = Field(None, description="The salt-api to use. Default: the embedded one.")
    salt_api_user: str = Field("brinepool", description="The account at salt-api.")
    salt_api_eauth: str = Field("sharedsecret", description="How salt-api checks the account.")
    salt_api_password_file: Path | None = Field(None, description="Default: secrets/salt-api in the home.")
    early_branch_check: bool = Field(True, description="Look for a branch at the remote before anything is built.")
    building_at_once: int = Field(10, ge=1, description="How many servers each cloud provider builds at once.")
    servers_in_all: int | None = Field(None, ge=1, description="How many servers each provider may have. Default: any.")
    providers: dict[str, ProviderCaps] = Field({}, description="The same two for single providers, see ops.md.")
    threads: int = Field(16, ge=2, le=256, description="Threads of the HTTP server.")
    timezone: str = Field("UTC", description="The time zone of the nightly run, such as `Europe/Berlin`.")
    nightly_at: str = Field("03:00", description="When the nightly run takes place, in that time zone.")
    reap_every: str = Field("5m", description="How often is looked for environments that are due, or to be warned.")
    branches_every: str = Field("1h", description="How often the remotes are asked whether branches are still there.")
    sweep_every: str = Field("5m", description="How often is looked for leaks, and for servers that are not whole.")
    retention: str = Field("90d", description="How long events, audit, console and finished work are kept.")
    ops_room: str | None = Field(None, description="Where ops get the nightly report, such as `slack:ops`.")
    slack_bot_token: SecretStr | None = Field(None, description="Slack's bot token (`xoxb-…`); with it, Slack is on.")
    slack_app_token: SecretStr | None = Field(None, description="Slack's app token (`xapp-…`), for Socket Mode.")
    slack_signing_secret: SecretStr | None = Field(None, description="Slack's signing secret, for requests over HTTP.")
    slack_url: str = Field("https://slack.com/api/", description="Slack's API.")
    matrix_homeserver: str | None = Field(None, description="The Matrix homeserver's URL; with it, Matrix is on.")
    matrix_user: str | None = Field(None, description="The bot's Matrix account, such as `@brine:example.org`.")
    matrix_password_file: Path | None = Field(None, description="The file with the Matrix account's password.")
    matrix_token_file: Path | None = Field(None, description="Instead: the file with an access token.")
    matrix_edits_per_minute: float = Field(10.0, gt=0, description="How many edits the homeserver allows for long.")
    matrix_bots: tuple[str, ...] = Field((), description="Matrix accounts of other bots, which are not listened to.")
    matrix_invited_by: tuple[str, ...] = Field((), description="Other homeservers whose people may invite the bot.")
    bots: dict[str, dict[str, Any]] = Field({}, description="Bots of other chats, see chat-webhook.md.")

    @field_validator(
        "home", "site", "salt_api_password_file", "matrix_password_file", "matrix_token_file", mode="after"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return Path(os.path.abspath(value.expanduser())) if value is not None else None

    @field_validator("timezone", mode="after")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return _checked(schedule.time_zone, value)

    @field_validator("nightly_at", mode="after")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        return _checked(schedule.time_of_day, value)

    @field_validator("reap_every", "branches_every", "sweep_every", mode="after")
    @classmethod
    def _interval(cls, value: str) -> str:
        return _checked(lambda text: schedule.repeated("it", parse_duration(text)), value)

    @field_validator("retention", mode="after")
    @classmethod
    def _span(cls, value: str) -> str:
        return _checked(parse_duration, value)

    @property
    def caps(self) -> Caps:
        """How many servers the cloud providers build at once, and have in all."""
        own = {
            name: Cap(given.building_at_once or self.building_at_once, given.servers_in_all or self.servers_in_all)
            for name, given in self.providers.items()
        }
        return Caps(Cap(self.building_at_once, self.servers_in_all), own)

    @property
    def jobs(self) -> tuple[schedule.Job, ...]:
        """The scheduled jobs of this installation."""
        return (
            schedule.repeated("reap", parse_duration(self.reap_every)),
            schedule.repeated("branches", parse_duration(self.branches_every)),
            schedule.repeated("sweep", parse_duration(self.sweep_every)),
            schedule.daily("nightly", self.nightly_at, self.timezone),
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the home's file."""
        home = Path(os.environ.get("BRINE_HOME", "var")).expanduser()
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home / "settings.toml")

    @property
    def password_file(self) -> Path:
        """Where the password of our salt-api account is."""
        return self.salt_api_password_file or self.home / "secrets" / "salt-api"

    @property
    def admin_token_file(self) -> Path:
        """Where the admin token that `brine up` makes is."""
        return self.home / "secrets" / "admin-token"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.home / 'brinepool.sqlite'}"


def _checked(parse: Callable[[str], object], value: str) -> str:
    """`value`, if `parse` takes it; what it says of it otherwise, as a validator says it."""
    try:
        parse(value)
    except BadInput as error:
        raise ValueError(error.message.rstrip(".")) from error
    return value


def load(**overrides: Any) -> Settings:
    """The settings in force. Raises BadInput that names the setting and what is wrong with it."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, *inner = (str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            unknown = ".".join([name, *inner])
            sentence = f"There is no setting “{unknown}”; a line of settings.toml or a BRINE_ variable is misspelt."
            raise BadInput("setting-unknown", sentence) from error
        place = f"{'.'.join(inner)} in the setting" if inner else "The setting"
        why = first["msg"].removeprefix("Value error, ")
        raise BadInput("setting-invalid", f"{place} BRINE_{name.upper()} is wrong: {why}.") from error
    except SettingsError as error:  # a variable of a setting that is a table or a list
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"BRINE_{named[1].upper()}" if named else "A BRINE_ variable"
        raise BadInput("setting-invalid", f"{variable} is no JSON, which a table or a list has to be there.") from error
    except ValueError as error:  # a settings.toml that is no TOML
        raise BadInput("setting-invalid", f"The file settings.toml in the home cannot be read: {error}.") from error
