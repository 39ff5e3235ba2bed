// refuse-splice ERRNO LEAST PROGRAM ARGUMENT…: runs a program for which splice(2) of LEAST bytes or more fails with errno
// number ERRNO, as container profiles and emulators refuse it. Everything else is allowed. Built by no-splice.test.ts.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "seccomp(2) needs this architecture's number"
#endif

int main(int count, char** words) {
  if (count < 4) return 64;
  const auto error = static_cast<unsigned>(std::atoi(words[1]));
  const auto least = static_cast<unsigned>(std::atoi(words[2]));
  // Arguments are 64 bits wide; splice's lengths here fit the lower half, which comes first on these machines.
  constexpr unsigned kLength = offsetof(seccomp_data, args) + 4 * sizeof(__u64);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_splice, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kLength),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, least, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof filter / sizeof *filter, filter};
  // Whoever gains no privileges by exec may filter without being root.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::fprintf(stderr, "seccomp: %s\n", std::strerror(errno));
    return 65;
  }
  execv(words[3], words + 3);
  return 66;
}
