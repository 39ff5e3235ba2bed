// The calls that sockets.cc, joins.cc, tls.cc and descriptors.cc carry out; addon.cc hands them to JavaScript.
#pragma once

#include <node_api.h>

namespace millrace::addon {

napi_value listen(napi_env env, napi_callback_info info);
napi_value listen_on(napi_env env, napi_callback_info info);
napi_value unlisten(napi_env env, napi_callback_info info);
napi_value refused(napi_env env, napi_callback_info info);
napi_value dial(napi_env env, napi_callback_info info);
napi_value adopt(napi_env env, napi_callback_info info);
napi_value wake(napi_env env, napi_callback_info info);
napi_value read(napi_env env, napi_callback_info info);
napi_value write(napi_env env, napi_callback_info info);
napi_value flush(napi_env env, napi_callback_info info);
napi_value destroy(napi_env env, napi_callback_info info);
napi_value release(napi_env env, napi_callback_info info);
napi_value lane(napi_env env, napi_callback_info info);
napi_value open(napi_env env, napi_callback_info info);
napi_value leave(napi_env env, napi_callback_info info);
napi_value bucket(napi_env env, napi_callback_info info);
napi_value join(napi_env env, napi_callback_info info);
napi_value join_to(napi_env env, napi_callback_info info);
napi_value abort_join(napi_env env, napi_callback_info info);
napi_value finish(napi_env env, napi_callback_info info);
napi_value tls_problem(napi_env env, napi_callback_info info);
napi_value ticket_keys(napi_env env, napi_callback_info info);
napi_value set_ticket_keys(napi_env env, napi_callback_info info);
napi_value tls_server(napi_env env, napi_callback_info info);
napi_value tls_client(napi_env env, napi_callback_info info);
napi_value secure(napi_env env, napi_callback_info info);
napi_value open_door(napi_env env, napi_callback_info info);
napi_value send_descriptors(napi_env env, napi_callback_info info);
napi_value receive_descriptors(napi_env env, napi_callback_info info);
napi_value peer_user(napi_env env, napi_callback_info info);
napi_value notify(napi_env env, napi_callback_info info);
napi_value duplicate_listener(napi_env env, napi_callback_info info);

}  // namespace millrace::addon
