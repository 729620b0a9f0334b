#!/usr/bin/env python3
"""Builds the Lua scripts into the binary: <name>.lua becomes `struct str script_<name>(void)`.

The first file is put before each of the others, so that what they share is written once. Bytes rather than string
literals, because a literal may hold 4095 characters only.
"""
import pathlib
import sys


def rows(text):
    codes = [str(byte) for byte in text]
    return ',\n'.join('    ' + ', '.join(codes[i:i + 20]) for i in range(0, len(codes), 20))


def main(source, header, shared, *scripts):
    prelude = pathlib.Path(shared).read_bytes()
    with open(source, 'w') as c, open(header, 'w') as h:
        h.write('// Texts of the scripts that run inside Redis; made from *.lua by embed.py.\n'
                '#ifndef ROLLCALL_GATEWAY_STORE_SCRIPTS_H\n#define ROLLCALL_GATEWAY_STORE_SCRIPTS_H\n\n'
                '#include "common/base/str.h"\n\n')
        c.write('#include "services/gateway/store/scripts.h"\n')
        for path in map(pathlib.Path, scripts):
            text = prelude + path.read_bytes()
            h.write(f'struct str script_{path.stem}(void); // {path.name}\n')
            c.write(f'\nstruct str script_{path.stem}(void)\n{{\n    static const unsigned char text[] = {{\n{rows(text)}}};\n'
                    f'    return str_of_bytes(text, sizeof(text));\n}}\n')
        h.write('\n#endif\n')


main(*sys.argv[1:])
