// The error codes that this family of methods can answer (contract voximplant 6): numbers of Voximplant's own
// catalogue. What each is used for where the catalogue does not say is written in
// docs/dialects/voximplant.md.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_CODES_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_CODES_H

enum code {
    CODE_NONE = 0,
    CODE_INTERNAL = 2,               // a fault of ours, logged
    CODE_DB = 4,                     // Redis is away or refuses for now
    CODE_AUTHORIZATION_FAILED = 100, // who asks is not known, or may not
    CODE_INVALID_ARGUMENTS = 101,    // a parameter cannot be read
    CODE_MISSING_CMD = 102,          // no method in path, body or query
    CODE_UNKNOWN_COMMAND = 103,      // no such method
    CODE_INVALID_APPLICATION_NAME = 107,
    CODE_INVALID_APPLICATION_ID = 116,
    CODE_INVALID_USER_ID = 117, // also of a user name: the catalogue has no code of its own for it
    CODE_INSUFFICIENT_MONEY = 127,
    CODE_REQUIRED_IS_EMPTY = 134,
    CODE_INVALID_RULE_ID = 147,
    CODE_INVALID_RULE_NAME = 156,
    CODE_REGISTRATIONS_COUNT_EXCEEDED = 272,
    CODE_INVALID_USERNAME = 273,
    CODE_INVALID_PROXY = 274,
    CODE_INVALID_REGISTRATION_ID = 275,
    CODE_RATE_LIMIT_EXCEED = 340,
    CODE_USER_NOT_BOUND_TO_THE_APPLICATION = 393,
    CODE_INVALID_TOKEN_FORMAT = 447,
    CODE_INVALID_TOKEN_TTL = 454,
    CODE_TOKEN_ISSUED_IN_FUTURE = 455,
    CODE_TOKEN_EXPIRED = 456,
    CODE_ONLY_ONE_OF_PARAMETERS = 458,
};

// An error on its way to the client: the code, and a sentence that names the parameter.
struct fault {
    enum code code;
    char text[320];
};
#define FAULT_NONE ((struct fault){.code = CODE_NONE})

#endif
