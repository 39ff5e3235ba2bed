# The part of Node's own common.gypi that an addon needs. It stands in for it where no Node headers are installed; see
# nodeHeaders() in addon.mjs.
{
  'target_defaults': {
    'default_configuration': 'Release',
    'configurations': {
      'Debug': { 'cflags': ['-g', '-O0'] },
      'Release': { 'cflags': ['-O3', '-fno-omit-frame-pointer'] },
    },
    'cflags': ['-fPIC', '-pthread', '-Wall'],
    'cflags_cc': ['-fno-rtti', '-fno-exceptions'],
    'ldflags': ['-pthread'],
  },
}
