// Certificates and keys of the TLS tests, valid until 2126 unless they say otherwise. The keys are for tests alone.
#pragma once

namespace millrace::test {

extern const char* const kRoot;                // the root that issued all but the self-signed one
extern const char* const kOtherRoot;           // one that issued none
extern const char* const kServerChain;         // localhost, relay.test, 127.0.0.1, ::1; through an intermediate
extern const char* const kServerKey;
extern const char* const kOtherCertificate;    // other.test
extern const char* const kOtherKey;
extern const char* const kWildCertificate;     // *.wild.test
extern const char* const kWildKey;
extern const char* const kExpiredCertificate;  // localhost, in January 2020
extern const char* const kExpiredKey;
extern const char* const kFutureCertificate;   // localhost, from 2120 on
extern const char* const kFutureKey;
extern const char* const kSelfSignedCertificate;  // localhost
extern const char* const kSelfSignedKey;

}  // namespace millrace::test
