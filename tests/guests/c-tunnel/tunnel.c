// A tunnel for a public address that exists already, in C, made from the contract (`plugin-api/wit`) alone.
//
// `run` is an async export without a thread: it begins, and `…_run_callback` is called for each thing that it waits for. What
// has to live until then is in `struct run`, which is the task's context.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel_provider.h"

typedef exports_nexus_plugin_tunnel_event_t event_t;

struct run {
  tunnel_provider_waitable_set_t set;
  exports_nexus_plugin_tunnel_stream_event_writer_t events;
  exports_nexus_plugin_tunnel_future_result_void_failure_writer_t outcome;
  exports_nexus_plugin_tunnel_future_cancel_reason_t cancel;
  exports_nexus_plugin_tunnel_cancel_reason_t reason;
  exports_nexus_plugin_tunnel_result_void_failure_t ended;
  exports_nexus_plugin_tunnel_address_t address;
  char url[512];
  // What is still to be told, and how much of it the host has.
  event_t news[2];
  size_t told;
  bool writing;
};

static tunnel_provider_string_t text(const char *s) {
  return (tunnel_provider_string_t){(uint8_t *)s, strlen(s)};
}

static void log_line(const char *line) {
  tunnel_provider_string_t message = text(line);
  nexus_plugin_log_write(NEXUS_PLUGIN_LOG_LEVEL_INFO, &message);
}

// Copies the value of a setting, which is a text without escapes; empty: there is none.
static void setting(const char *name, char *value, size_t room) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  tunnel_provider_string_t json;
  nexus_plugin_config_get(&json);
  char *all = calloc(1, json.len + 1);
  if (all == NULL) abort();
  memcpy(all, json.ptr, json.len);
  const char *found = strstr(all, key);
  size_t length = found == NULL ? 0 : strcspn(found + strlen(key), "\"");
  snprintf(value, room, "%.*s", (int)length, found == NULL ? "" : found + strlen(key));
  free(all);
  tunnel_provider_string_free(&json);
}

// Logs what the machine's file is to a plugin.
static void read_outside(void) {
  char line[256];
  FILE *file = fopen("/etc/passwd", "r");
  snprintf(line, sizeof line, "read: %s", file == NULL ? strerror(errno) : "it worked");
  log_line(line);
  if (file != NULL) fclose(file);
}

tunnel_provider_callback_code_t exports_nexus_plugin_tunnel_describe(void) {
  exports_nexus_plugin_tunnel_descriptor_t descriptor = {
      .title = text("C"),
      .url = EXPORTS_NEXUS_PLUGIN_TUNNEL_URL_KIND_STABLE,
      .encryption = EXPORTS_NEXUS_PLUGIN_TUNNEL_ENCRYPTION_NONE,
      .liveness = EXPORTS_NEXUS_PLUGIN_TUNNEL_LIVENESS_REPORTED,
      .event_streams = true,
  };
  exports_nexus_plugin_tunnel_describe_return(descriptor);
  return TUNNEL_PROVIDER_CALLBACK_CODE_EXIT;
}

tunnel_provider_callback_code_t exports_nexus_plugin_tunnel_describe_callback(tunnel_provider_event_t *event) {
  (void)event; // `describe` waits for nothing.
  abort();
}

tunnel_provider_callback_code_t exports_nexus_plugin_tunnel_check_availability(void) {
  exports_nexus_plugin_tunnel_availability_t ready = {.tag = NEXUS_PLUGIN_TYPES_AVAILABILITY_READY};
  ready.val.ready.version = text("0.1.0");
  exports_nexus_plugin_tunnel_check_availability_return(ready);
  return TUNNEL_PROVIDER_CALLBACK_CODE_EXIT;
}

tunnel_provider_callback_code_t
exports_nexus_plugin_tunnel_check_availability_callback(tunnel_provider_event_t *event) {
  (void)event; // Nor does this.
  abort();
}

static tunnel_provider_callback_code_t end(struct run *run) {
  exports_nexus_plugin_tunnel_future_result_void_failure_drop_writable(run->outcome);
  tunnel_provider_waitable_set_drop(run->set);
  free(run);
  return TUNNEL_PROVIDER_CALLBACK_CODE_EXIT;
}

// The host cancels: nothing is open here, so the end is `ok`, once the host has taken it.
static tunnel_provider_callback_code_t close_tunnel(struct run *run) {
  char line[64];
  snprintf(line, sizeof line, "closed: %d", run->reason);
  log_line(line);
  exports_nexus_plugin_tunnel_future_cancel_reason_drop_readable(run->cancel);
  if (run->writing) exports_nexus_plugin_tunnel_stream_event_cancel_write(run->events);
  exports_nexus_plugin_tunnel_stream_event_drop_writable(run->events);
  run->ended.is_err = false;
  if (exports_nexus_plugin_tunnel_future_result_void_failure_write(run->outcome, &run->ended) !=
      TUNNEL_PROVIDER_WAITABLE_STATUS_BLOCKED)
    return end(run);
  tunnel_provider_waitable_join(run->outcome, run->set);
  tunnel_provider_context_set_0(run);
  return TUNNEL_PROVIDER_CALLBACK_CODE_WAIT(run->set);
}

// Tells the rest of the news, as far as the host takes it now.
static void tell(struct run *run) {
  while (!run->writing && run->told < 2) {
    tunnel_provider_waitable_status_t status =
        exports_nexus_plugin_tunnel_stream_event_write(run->events, run->news + run->told, 2 - run->told);
    if (status == TUNNEL_PROVIDER_WAITABLE_STATUS_BLOCKED) {
      tunnel_provider_waitable_join(run->events, run->set);
      run->writing = true;
    } else {
      run->told += TUNNEL_PROVIDER_WAITABLE_COUNT(status);
      if (TUNNEL_PROVIDER_WAITABLE_STATE(status) == TUNNEL_PROVIDER_WAITABLE_DROPPED) run->told = 2;
    }
  }
}

static tunnel_provider_callback_code_t wait(struct run *run) {
  tunnel_provider_context_set_0(run);
  return TUNNEL_PROVIDER_CALLBACK_CODE_WAIT(run->set);
}

tunnel_provider_callback_code_t exports_nexus_plugin_tunnel_run(
    exports_nexus_plugin_tunnel_origin_t *origin, exports_nexus_plugin_tunnel_future_cancel_reason_t cancel) {
  char attempt[16];
  setting("attempt", attempt, sizeof attempt);
  if (strcmp(attempt, "trap") == 0) {
    fprintf(stderr, "this tunnel is meant to fail\n");
    abort();
  }
  if (strcmp(attempt, "outside") == 0) read_outside();

  struct run *run = calloc(1, sizeof *run);
  if (run == NULL) abort();
  run->set = tunnel_provider_waitable_set_new();
  run->cancel = cancel;
  setting("url", run->url, sizeof run->url);
  if (run->url[0] == '\0')
    snprintf(run->url, sizeof run->url, "http://%.*s:%d", (int)origin->host.len, (char *)origin->host.ptr,
             origin->port);
  exports_nexus_plugin_tunnel_origin_free(origin);

  exports_nexus_plugin_tunnel_tuple2_stream_event_future_result_void_failure_t ends;
  ends.f0 = exports_nexus_plugin_tunnel_stream_event_new(&run->events);
  ends.f1 = exports_nexus_plugin_tunnel_future_result_void_failure_new(&run->outcome);
  exports_nexus_plugin_tunnel_run_return(ends);

  run->address.url = text(run->url);
  run->news[0].tag = EXPORTS_NEXUS_PLUGIN_TUNNEL_EVENT_ADDRESSES;
  run->news[0].val.addresses.ptr = &run->address;
  run->news[0].val.addresses.len = 1;
  run->news[1].tag = EXPORTS_NEXUS_PLUGIN_TUNNEL_EVENT_READY;
  run->news[1].val.ready = 1;
  tell(run);
  if (exports_nexus_plugin_tunnel_future_cancel_reason_read(cancel, &run->reason) !=
      TUNNEL_PROVIDER_WAITABLE_STATUS_BLOCKED)
    return close_tunnel(run);
  tunnel_provider_waitable_join(cancel, run->set);
  return wait(run);
}

tunnel_provider_callback_code_t exports_nexus_plugin_tunnel_run_callback(tunnel_provider_event_t *event) {
  struct run *run = tunnel_provider_context_get_0();
  switch (event->event) {
  case TUNNEL_PROVIDER_EVENT_STREAM_WRITE:
    tunnel_provider_waitable_join(run->events, 0);
    run->writing = false;
    run->told += TUNNEL_PROVIDER_WAITABLE_COUNT(event->code);
    if (TUNNEL_PROVIDER_WAITABLE_STATE(event->code) == TUNNEL_PROVIDER_WAITABLE_DROPPED) run->told = 2;
    tell(run);
    return wait(run);
  case TUNNEL_PROVIDER_EVENT_FUTURE_READ:
    return close_tunnel(run);
  case TUNNEL_PROVIDER_EVENT_FUTURE_WRITE:
    return end(run);
  default:
    abort();
  }
}
