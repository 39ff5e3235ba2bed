#include "tls_library.h"

#include <dlfcn.h>

#include "tls_bio.h"

namespace millrace {

namespace {

constexpr unsigned long kMajor = 3;

const TlsLibrary* loaded = nullptr;

class Lookup {
 public:
  explicit Lookup(TlsSource source) {
    if (source == TlsSource::Process) return;
    // Kept open for the life of the process, as OpenSSL's own clean-up runs at exit.
    crypto_ = ::dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    ssl_ = ::dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  }

  void* find(const char* name) const {
    if (ssl_ == nullptr) return ::dlsym(RTLD_DEFAULT, name);
    if (void* const found = ::dlsym(ssl_, name)) return found;
    return crypto_ != nullptr ? ::dlsym(crypto_, name) : nullptr;
  }

 private:
  void* crypto_ = nullptr;
  void* ssl_ = nullptr;
};

struct Loaded {
  TlsLibrary library;
  std::string problem;

  explicit Loaded(TlsSource source) { problem = load(Lookup(source)); }

 private:
  std::string load(const Lookup& lookup) {
    // First: a library that calls itself otherwise may have functions of the same names with other parameters.
    library.OpenSSL_version_num = reinterpret_cast<unsigned long (*)()>(lookup.find("OpenSSL_version_num"));
    if (library.OpenSSL_version_num == nullptr) return "this process exports no OpenSSL";
    // OpenSSL_version_num(3): 0xMNN00PP0.
    const unsigned long major = library.OpenSSL_version_num() >> 28;
    if (major != kMajor) return "OpenSSL 3 is needed, and version " + std::to_string(major) + " is there";
    std::string missing;
#define MILLRACE_OPENSSL_FIND(result, name, parameters)                              \
  library.name = reinterpret_cast<result(*) parameters>(lookup.find(#name));         \
  if (library.name == nullptr) missing += std::string(missing.empty() ? "" : ", ") + #name;
    MILLRACE_OPENSSL_FUNCTIONS(MILLRACE_OPENSSL_FIND)
#undef MILLRACE_OPENSSL_FIND
    if (!missing.empty()) return "the process's OpenSSL lacks " + missing;
    library.bio_method = make_tls_bio_method(library);
    if (library.bio_method == nullptr) return "OpenSSL refused a BIO method";
    loaded = &library;
    return "";
  }
};

}  // namespace

const TlsLibrary* tls_library(TlsSource source, std::string& problem) {
  // Never destroyed: a worker may outlive what the end of the process destroys. At most one of the two has a table.
  static const Loaded* const process = new Loaded(TlsSource::Process);
  const Loaded* chosen = process;
  if (source == TlsSource::System && !process->problem.empty()) {
    static const Loaded* const system = new Loaded(TlsSource::System);
    chosen = system;
  }
  problem = chosen->problem;
  return problem.empty() ? &chosen->library : nullptr;
}

const TlsLibrary& loaded_tls_library() { return *loaded; }

}  // namespace millrace
