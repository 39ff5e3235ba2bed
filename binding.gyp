{
  "targets": [
    {
      "target_name": "millrace",
      "sources": ["native/addon/addon.cc", "native/addon/descriptors.cc", "native/addon/environment.cc", "native/addon/handles.cc", "native/addon/joins.cc", "native/addon/sockets.cc", "native/addon/tls.cc", "<!@(node -p \"require('fs').readdirSync('native/engine').filter(f => f.endsWith('.cc')).map(f => 'native/engine/' + f).join(' ')\")"],
      "include_dirs": ["native/engine", "<!(node -p \"require('path').relative('.', require('node-api-headers').include_dir)\")"],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      "cflags!": ["-O3"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wpedantic", "-Wno-unused-parameter", "-Wno-cast-function-type", "-Werror"],
      "ldflags": ["-Wl,-z,nodelete", "-Wl,-z,now"],
      "libraries": ["-ldl"]
    }
  ]
}
