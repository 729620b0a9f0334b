// rollcall-gateway: reads the settings, runs the gateway until it is told to stop, returns its code.
#include "common/log/log.h"
#include "services/gateway/gateway.h"
#include "services/gateway/settings.h"

int main(int argc, char **argv)
{
    struct gateway_settings settings;
    int code = 0;
    if (gateway_settings_main(argc, argv, &settings, &code))
        return code;
    log_setup("rollcall-gateway", (enum log_level)settings.log_level, settings.log_format == 1);
    code = gateway_run(&settings);
    gateway_settings_done(&settings);
    return code;
}
