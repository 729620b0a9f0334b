// One row a method: contract voximplant 3. The roles of Delete are not in any text that could be read; it has
// those of the other methods that change what exists.
#include "services/gateway/voximplant/methods.h"

#include "services/gateway/voximplant/handlers.h"

#define OWNER      ROLE_BIT(ROLE_OWNER)
#define ADMIN      ROLE_BIT(ROLE_ADMIN)
#define DEVELOPER  ROLE_BIT(ROLE_DEVELOPER)
#define SUPERVISOR ROLE_BIT(ROLE_SUPERVISOR)
#define ACCOUNTANT ROLE_BIT(ROLE_ACCOUNTANT)
#define SUPPORT    ROLE_BIT(ROLE_SUPPORT)

static const struct method methods[] = {
    {"CreateSipRegistration", OWNER | ADMIN | ACCOUNTANT, false, vox_create_run},
    {"UpdateSipRegistration", OWNER | ADMIN | DEVELOPER, false, vox_update_run},
    {"BindSipRegistration", OWNER | ADMIN | DEVELOPER, false, vox_bind_run},
    {"DeleteSipRegistration", OWNER | ADMIN | DEVELOPER, false, vox_delete_run},
    {"GetSipRegistrations", OWNER | ADMIN | DEVELOPER | SUPERVISOR | ACCOUNTANT | SUPPORT, true,
     vox_list_run},
};

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_OWNER] = "Owner",           [ROLE_ADMIN] = "Admin",           [ROLE_DEVELOPER] = "Developer",
    [ROLE_SUPERVISOR] = "Supervisor", [ROLE_ACCOUNTANT] = "Accountant", [ROLE_SUPPORT] = "Support",
};

const struct method *vox_method_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq_cstr(name, methods[i].name))
            return &methods[i];
    return NULL;
}

void vox_method_roles(const struct method *m, struct buf *out)
{
    const char *separator = "";
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (!(m->roles & ROLE_BIT(i)))
            continue;
        buf_addf(out, "%s%s", separator, role_names[i]);
        separator = ", ";
    }
}
