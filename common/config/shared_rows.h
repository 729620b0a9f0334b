// Rows that more than one service's table of settings has: the same name, default and sentence everywhere. S
// is the service's struct, which has a member of each row's name.
#ifndef ROLLCALL_CONFIG_SHARED_ROWS_H
#define ROLLCALL_CONFIG_SHARED_ROWS_H

#include "common/config/settings.h"

// In the order of enum log_level.
#define SETTINGS_LOG_LEVELS  ((const char *const[]){"error", "warning", "info", "debug", NULL})
#define SETTINGS_LOG_FORMATS ((const char *const[]){"text", "json", NULL})

// char *kafka_bootstrap, *kafka_extra, *kafka_password, *topic_prefix; int64_t partitions_any,
// partitions_pop, partitions_node, kafka_replication
#define SETTINGS_OF_KAFKA(S)                                                                                 \
    {"ROLLCALL_KAFKA_BOOTSTRAP",                                                                             \
     SETTING_STRING,                                                                                         \
     "127.0.0.1:9092",                                                                                       \
     "host:port,…",                                                                                          \
     "Kafka brokers to start from",                                                                          \
     .offset = offsetof(S, kafka_bootstrap)},                                                                \
        {"ROLLCALL_KAFKA_EXTRA",                                                                             \
         SETTING_SECRET,                                                                                     \
         NULL,                                                                                               \
         "name=value;…",                                                                                     \
         "Further librdkafka settings, for TLS and SASL",                                                    \
         .offset = offsetof(S, kafka_extra)},                                                                \
        {"ROLLCALL_KAFKA_PASSWORD",                                                                          \
         SETTING_SECRET,                                                                                     \
         NULL,                                                                                               \
         NULL,                                                                                               \
         "SASL password at the Kafka brokers, any characters",                                               \
         .offset = offsetof(S, kafka_password)},                                                             \
        {"ROLLCALL_TOPIC_PREFIX",                                                                            \
         SETTING_STRING,                                                                                     \
         "rollcall",                                                                                         \
         NULL,                                                                                               \
         "First part of every topic's name",                                                                 \
         .offset = offsetof(S, topic_prefix)},                                                               \
        {"ROLLCALL_PARTITIONS_ANY",                                                                          \
         SETTING_INT,                                                                                        \
         "64",                                                                                               \
         "partitions",                                                                                       \
         "For new topics of the place `any`, and for events",                                                \
         .offset = offsetof(S, partitions_any),                                                              \
         .min = 1,                                                                                           \
         .max = 10000},                                                                                      \
        {"ROLLCALL_PARTITIONS_POP",                                                                          \
         SETTING_INT,                                                                                        \
         "8",                                                                                                \
         "partitions",                                                                                       \
         "For new topics of a pop",                                                                          \
         .offset = offsetof(S, partitions_pop),                                                              \
         .min = 1,                                                                                           \
         .max = 10000},                                                                                      \
        {"ROLLCALL_PARTITIONS_NODE",                                                                         \
         SETTING_INT,                                                                                        \
         "1",                                                                                                \
         "partitions",                                                                                       \
         "For new topics of a node",                                                                         \
         .offset = offsetof(S, partitions_node),                                                             \
         .min = 1,                                                                                           \
         .max = 10000},                                                                                      \
    {                                                                                                        \
        "ROLLCALL_KAFKA_REPLICATION", SETTING_INT, "-1", "replicas",                                         \
            "For new topics; -1 takes the broker's default", .offset = offsetof(S, kafka_replication),       \
                                                             .min = -1, .max = 16                            \
    }

// int log_level, log_format
#define SETTINGS_OF_LOG(S)                                                                                   \
    {"ROLLCALL_LOG_LEVEL",                                                                                   \
     SETTING_CHOICE,                                                                                         \
     "info",                                                                                                 \
     NULL,                                                                                                   \
     "Most detailed lines that are logged",                                                                  \
     .offset = offsetof(S, log_level),                                                                       \
     .choices = SETTINGS_LOG_LEVELS},                                                                        \
    {                                                                                                        \
        "ROLLCALL_LOG_FORMAT", SETTING_CHOICE, "text", NULL, "Form of a log line",                           \
            .offset = offsetof(S, log_format), .choices = SETTINGS_LOG_FORMATS                               \
    }

#endif
