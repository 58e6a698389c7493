"""The JSON Schema of a config, for editors.

To have keys completed and checked while typing, save it beside the configs

    reid-smoke schema > reid-smoke.schema.json

and begin each config with the line that yaml-language-server looks for (VS Code's YAML extension, Neovim, Emacs;
PyCharm maps the file under Settings > JSON Schema Mappings):

    # yaml-language-server: $schema=reid-smoke.schema.json
"""

from __future__ import annotations

from typing import Any

from reid_smoke.checks.catalogue import catalogue
from reid_smoke.config.schema import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """The schema that `load_config` holds a file against, in draft 2020-12. What spans several keys (a window within
    the run's steps) is beyond it, and is checked on loading alone."""
    schema = Config.model_json_schema()
    # Editors complete the codes, too.
    codes = [check.code for check in catalogue()]
    schema["$defs"]["ChecksConfig"]["properties"]["ignore"]["propertyNames"] = {"enum": codes}
    return {"$schema": DIALECT, **schema}
