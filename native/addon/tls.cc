// Calls that concern TLS: whether there is any, contexts, session tickets, and handshakes.
#include "tls_context.h"

#include <cstring>

#include "arguments.h"
#include "calls.h"

namespace millrace::addon {

namespace {

napi_value to_js(napi_env env, const std::string& text) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

const TlsLibrary* library() {
  std::string problem;
  return tls_library(TlsSource::Process, problem);
}

// False when a part of one is left.
bool read_pins(std::span<const uint8_t> bytes, std::vector<Sha256>& pins) {
  for (; bytes.size() >= sizeof(Sha256); bytes = bytes.subspan(sizeof(Sha256))) {
    std::memcpy(pins.emplace_back().data(), bytes.data(), sizeof(Sha256));
  }
  return bytes.empty();
}

// Each a name of 16 bytes and a secret of 32.
bool read_keys(std::span<const uint8_t> bytes, std::vector<TicketKey>& keys) {
  for (; bytes.size() >= sizeof(TicketKey); bytes = bytes.subspan(sizeof(TicketKey))) {
    TicketKey& key = keys.emplace_back();
    std::memcpy(key.name.data(), bytes.data(), key.name.size());
    std::memcpy(key.secret.data(), bytes.data() + key.name.size(), key.secret.size());
  }
  return bytes.empty();
}
static_assert(sizeof(TicketKey) == openssl::kTicketNameBytes + 32);

// The list of RFC 7301 section 3.1 without its length: each protocol behind a byte that says how long it is.
bool read_protocols(std::span<const uint8_t> bytes, std::vector<std::string>& protocols) {
  while (!bytes.empty()) {
    const size_t length = bytes[0];
    if (length == 0 || length >= bytes.size()) return false;
    protocols.emplace_back(bytes.begin() + 1, bytes.begin() + 1 + static_cast<ptrdiff_t>(length));
    bytes = bytes.subspan(length + 1);
  }
  return true;
}

TlsMinimum minimum(bool only13) { return only13 ? TlsMinimum::Tls13 : TlsMinimum::Tls12; }

napi_value context_or_problem(napi_env env, const std::shared_ptr<const TlsContext>& context, const std::string& problem) {
  return context ? wrap(env, Handle::TlsContext, std::const_pointer_cast<TlsContext>(context)) : to_js(env, problem);
}

}  // namespace

// tlsProblem(): why the engine can't speak TLS in this process; '' when it can
napi_value tls_problem(napi_env env, napi_callback_info) {
  std::string problem;
  tls_library(TlsSource::Process, problem);
  return to_js(env, problem);
}

// ticketKeys(): keys for session tickets, none as yet
napi_value ticket_keys(napi_env env, napi_callback_info) {
  return wrap(env, Handle::TicketKeys, std::make_shared<TicketKeys>(std::vector<TicketKey>()));
}

// setTicketKeys(keys, bytes): the first seals, all of them open
napi_value set_ticket_keys(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto keys = args.handle<TicketKeys>(0, Handle::TicketKeys);
  std::vector<TicketKey> list;
  const bool whole = read_keys(args.bytes(1), list);
  if (!args.ok() || !whole) return fault(env);
  keys->set(std::move(list));
  return nullptr;
}

// tlsServer(certificate, key, protocols, only13, front, ticketKeys): a context, or the sentence why there is none
napi_value tls_server(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const std::string certificate = args.text(0);
  const std::string key = args.text(1);
  TlsServerOptions options;
  const bool listed = read_protocols(args.bytes(2), options.common.alpn);
  options.common.minimum = minimum(args.boolean(3));
  const std::string front = args.text(4);
  options.tickets = args.handle<TicketKeys>(5, Handle::TicketKeys);
  options.certificate = certificate;
  options.key = key;
  options.front = front;
  const TlsLibrary* const tls = library();
  if (!args.ok() || !listed || tls == nullptr) return fault(env);
  std::string problem;
  const auto context = TlsContext::server(*tls, options, problem);
  return context_or_problem(env, context, problem);
}

// tlsClient(trust, roots, pins, protocols, only13): the same. `trust` is a number of TlsTrust::Kind
napi_value tls_client(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto kind = args.whole<uint8_t>(0);
  const std::string roots = args.text(1);
  TlsClientOptions options;
  const bool pinned = read_pins(args.bytes(2), options.trust.pins);
  const bool listed = read_protocols(args.bytes(3), options.common.alpn);
  options.common.minimum = minimum(args.boolean(4));
  options.trust.roots = roots;
  const TlsLibrary* const tls = library();
  if (!args.ok() || !pinned || !listed || kind > static_cast<uint8_t>(TlsTrust::Kind::None) || tls == nullptr) return fault(env);
  options.trust.kind = static_cast<TlsTrust::Kind>(kind);
  options.sessions = std::make_shared<TlsSessions>(*tls);
  std::string problem;
  const auto context = TlsContext::client(*tls, options, problem);
  return context_or_problem(env, context, problem);
}

// secure(id, context, name, address, head, resetWhenTruncated, timeoutMs)
napi_value secure(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  auto spec = std::make_unique<SecureSpec>();
  const EndpointId id = args.id(0);
  spec->context = args.handle<TlsContext>(1, Handle::TlsContext);
  spec->name = args.text(2);
  spec->address = args.text(3);
  spec->head = copy(args.bytes(4));
  spec->reset_when_truncated = args.boolean(5);
  const Millis timeout = args.millis(6);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().secure(id, std::move(spec), timeout);
  return nullptr;
}

}  // namespace millrace::addon
