// See chunked.h.
#include "common/http/chunked.h"

#include "common/base/encode.h"

// A size line with its extensions, or all trailers together; what is longer was not meant well.
#define FRAMING_MAX 4096
#define DIGITS_MAX  15

enum state {
    SIZE,      // hexadecimal digits
    EXTENSION, // up to the carriage return
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, // line by line up to an empty one
    TRAILER_LF
};

static bool size_byte(struct chunked *c, char byte)
{
    int digit = decode_hex_digit(byte);
    if (digit >= 0) {
        c->left = c->left * 16 + (uint64_t)digit;
        return ++c->digits <= DIGITS_MAX;
    }
    c->state = byte == '\r' ? SIZE_LF : EXTENSION;
    return c->digits && (byte == '\r' || byte == ';' || byte == ' ' || byte == '\t');
}

static bool size_lf(struct chunked *c, char byte)
{
    c->state = c->left ? DATA : TRAILER;
    c->line_empty = true;
    c->framing = 0;
    return byte == '\n';
}

static bool line_byte(struct chunked *c, char byte, enum state at_cr)
{
    if (byte == '\r')
        c->state = (int)at_cr;
    else
        c->line_empty = false;
    return byte != '\n' && byte != '\0';
}

static bool data_end(struct chunked *c, char byte)
{
    bool at_cr = c->state == DATA_CR;
    c->state = at_cr ? DATA_LF : SIZE;
    c->digits = 0;
    c->framing = 0;
    return byte == (at_cr ? '\r' : '\n');
}

// One byte of framing: false when it is not what the grammar has there.
static bool framing_byte(struct chunked *c, char byte)
{
    if (++c->framing > FRAMING_MAX)
        return false;
    switch ((enum state)c->state) {
    case SIZE:
        return size_byte(c, byte);
    case EXTENSION:
        return line_byte(c, byte, SIZE_LF);
    case SIZE_LF:
        return size_lf(c, byte);
    case TRAILER:
        return line_byte(c, byte, TRAILER_LF);
    case TRAILER_LF:
        c->state = TRAILER;
        return byte == '\n';
    case DATA_CR:
    case DATA_LF:
        return data_end(c, byte);
    case DATA:
        break;
    }
    return false;
}

enum chunked_run chunked_next(struct chunked *c, struct str piece, size_t *ret_count)
{
    if (c->state == DATA) {
        size_t count = piece.n < c->left ? piece.n : (size_t)c->left;
        c->left -= count;
        if (!c->left)
            c->state = DATA_CR;
        *ret_count = count;
        return CHUNKED_DATA;
    }
    for (size_t at = 0; at < piece.n && c->state != DATA; at++) {
        *ret_count = at + 1;
        bool last_line = c->state == TRAILER_LF && c->line_empty;
        bool line_ends = c->state == TRAILER_LF;
        if (!framing_byte(c, piece.p[at]))
            return CHUNKED_BROKEN;
        if (last_line)
            return CHUNKED_END;
        if (line_ends)
            c->line_empty = true;
    }
    return CHUNKED_FRAMING;
}
