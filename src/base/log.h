/*
 * Logs as JSON lines: events on stderr, accesses on stdout. Every value is escaped, so nothing
 * that a client sends can forge a line. Never give it a secret.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"
#include "base/ctx.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_event(enum log_level level, const char *room, const char *fmt, ...) PRINTF(3, 4);
#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_event(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__)

/* One finished JSON object as one line on stdout, whole or not at all. Between log_start and
   log_stop lines are collected for LOG_DELAY_MS and written together; a reader that is too slow
   makes the callers wait. */
#define LOG_DELAY_MS 5
void log_access(struct str json_object);
enum err
log_start(struct ctx *c); /* E_UNAVAILABLE without a thread; lines then go out one by one */
void log_stop(void);      /* every line is written when it returns */

#endif
