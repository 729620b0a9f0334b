"""Turns the OpenAPI description (YAML) into a C file that holds it as compact JSON: openapi_embed.py IN.yaml OUT.c"""
import json
import sys

import yaml

source, target = sys.argv[1:]
with open(source, encoding="utf-8") as f:
    text = json.dumps(yaml.safe_load(f), ensure_ascii=True, separators=(",", ":"))
lines = [json.dumps(text[i:i + 100]) for i in range(0, len(text), 100)]
with open(target, "w", encoding="utf-8") as out:
    out.write('#include "services/gateway/openapi.h"\n\n'
              '#pragma GCC diagnostic ignored "-Woverlength-strings" // no compiler of ours has C99\'s small limit\n\n'
              'static const char text[] =\n    ')
    out.write("\n    ".join(lines))
    out.write(";\n\nstruct str openapi_json(void)\n{\n    return (struct str){.p = text, .n = sizeof(text) - 1};\n}\n")
