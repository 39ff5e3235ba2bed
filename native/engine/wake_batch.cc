#include "wake_batch.h"

#include "worker.h"

namespace millrace {

namespace {

thread_local WakeBatch* innermost = nullptr;

}  // namespace

WakeBatch* WakeBatch::current() { return innermost; }

WakeBatch::WakeBatch() : outer_(innermost) { innermost = this; }

WakeBatch::~WakeBatch() {
  innermost = outer_;
  for (Worker* worker : sleeping_) worker->wake_if_asleep();
}

}  // namespace millrace
