// The bench's load: a server behind the contender, and its visitors before it.
//
//     load serve|http [--host ADDRESS] [--tls --certificate FILE --key FILE]
//     load bulk|echo|connect|visit|idle --port N [--host A] [--connections N] [--bytes N] [--up] [--pace KIB/S]
//          [--size N] [--seconds S] [--warmup S] [--rate N/S] [--visits N] [--pids PID,…] [--tls] [--resume] [--hello] [--first] [--wait]
//     load cipher --certificate FILE --key FILE [--bytes N]
//     load offloads --device NAME
//
// One line of JSON on standard output. Without a kernel of another mind it runs on loopback.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "clients.h"
#include "common.h"
#include "offloads.h"
#include "server.h"

namespace {

[[noreturn]] void usage() {
  std::fprintf(stderr, "load: usage: load serve|http|bulk|echo|connect|visit|idle|cipher|offloads [options]; see main.cc\n");
  std::exit(2);
}

bool* flag_of(load::Options& options, const std::string& name) {
  if (name == "--up") return &options.up;
  if (name == "--tls") return &options.tls;
  if (name == "--resume") return &options.resume;
  if (name == "--hello") return &options.hello;
  if (name == "--first") return &options.first;
  return name == "--wait" ? &options.wait : nullptr;
}

load::Options parse(int count, char** words) {
  load::Options options;
  for (int index = 2; index < count; ++index) {
    const std::string name = words[index];
    if (bool* const flag = flag_of(options, name)) {
      *flag = true;
      continue;
    }
    if (++index == count) usage();
    const char* value = words[index];
    if (name == "--host") options.host = value;
    else if (name == "--port") options.port = std::atoi(value);
    else if (name == "--connections") options.connections = std::max(1, std::atoi(value));
    else if (name == "--bytes") options.bytes = std::strtoull(value, nullptr, 10);
    else if (name == "--pace") options.pace_kib = static_cast<uint32_t>(std::strtoul(value, nullptr, 10));
    else if (name == "--size") options.size = std::strtoull(value, nullptr, 10);
    else if (name == "--seconds") options.seconds = std::atof(value);
    else if (name == "--warmup") options.warmup = std::atof(value);
    else if (name == "--rate") options.rate = std::atof(value);
    else if (name == "--visits") options.visits = std::strtoull(value, nullptr, 10);
    else if (name == "--pids") options.pids = value;
    else if (name == "--certificate") options.certificate = value;
    else if (name == "--key") options.key = value;
    else if (name == "--device") options.device = value;
    else usage();
  }
  return options;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) usage();
  std::signal(SIGPIPE, SIG_IGN);
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  const load::Options options = parse(count, words);
  const std::string command = words[1];
  if (command == "serve") return load::serve(options);
  if (command == "http") return load::serve_http(options.host.c_str());
  if (command == "offloads") return load::disable_offloads(options.device.c_str());
  if (command == "cipher") return load::cipher(options);
  if (options.port == 0) usage();
  if (command == "bulk") return load::bulk(options);
  if (command == "echo") return load::echo(options);
  if (command == "connect") return load::connect_each(options);
  if (command == "visit") return load::visit_each(options);
  if (command == "idle") return load::idle(options);
  usage();
}
