"""Print what CloudFormation would make of a SAM template, as JSON.

Usage: python transform.py TEMPLATE

The transform is the one that runs in the service, as a library: it needs neither
network nor credentials. Calling for managed policies is the only thing it would
ask the service; the template uses none by name.
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # `sam package` puts a bucket's address here; the transform refuses a folder.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    translator = Translator({}, Parser())
    json.dump(translator.translate(template, {}), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
