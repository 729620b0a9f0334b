"""docker-compose.yml as compose sees it: with its variables set as an operator sets them, and the profiles that he switches on."""
import functools
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
HA_ENV = ROOT / "deploy/compose/ha.env"
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:?[-?])([^}]*))?\}")


class Unset(Exception):
    """A variable that must be set is not."""


def env_file(path):
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def interpolated(value, env):
    def one(match):
        name, how, otherwise = match.groups()
        if name is None:
            return "$"
        found = env.get(name)
        if found is None or (found == "" and how and how[0] == ":"):
            if how and how[-1] == "?":
                raise Unset(f"{name}: {otherwise}")
            return otherwise or ""
        return found

    if isinstance(value, dict):
        return {key: interpolated(member, env) for key, member in value.items()}
    if isinstance(value, list):
        return [interpolated(member, env) for member in value]
    return VARIABLE.sub(one, value) if isinstance(value, str) else value


@functools.lru_cache(maxsize=None)
def whole(**env):
    return interpolated(yaml.safe_load(COMPOSE_FILE.read_text()), {"SECRETS_DIR": "./secrets", **env})


# What an operator may start: his variables and profiles.
FORMS = {"one": ({}, {"demo"}), "three": (env_file(HA_ENV), {"demo", *env_file(HA_ENV)["COMPOSE_PROFILES"].split(",")})}


def enabled(env, profiles):
    services = whole(**env)["services"].items()
    return {name: service for name, service in services if not service.get("profiles") or profiles & set(service["profiles"])}


def services(form):
    return enabled(*FORMS[form])


def secrets(form):
    return whole(**FORMS[form][0])["secrets"]
