"""`reid-smoke schema`."""


def schema() -> None:
    """Print the config's JSON Schema, for editors.

    Save it beside your configs, and begin each of them with the line below: editors with yaml-language-server (VS Code,
    Neovim, Emacs) then complete and check keys as you type.

    reid-smoke schema > reid-smoke.schema.json

    # yaml-language-server: $schema=reid-smoke.schema.json
    """
    import json

    from reid_smoke.cli.streams import print_document
    from reid_smoke.config.json_schema import config_schema

    print_document(json.dumps(config_schema(), indent=2) + "\n")
