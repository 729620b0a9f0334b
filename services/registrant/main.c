// rollcall-registrant: reads the settings, runs the registrant until it is told to stop, returns its code.
#include "common/log/log.h"
#include "services/registrant/registrant.h"

int main(int argc, char **argv)
{
    struct registrant_settings settings;
    int code = 0;
    if (registrant_settings_main(argc, argv, &settings, &code))
        return code;
    log_setup("rollcall-registrant", (enum log_level)settings.log_level, settings.log_format == 1);
    code = registrant_run(&settings);
    registrant_settings_done(&settings);
    return code;
}
