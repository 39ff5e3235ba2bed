#include "tls_library.h"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

#if __has_include(<openssl/ssl.h>)
#include <openssl/core.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/opensslv.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>
#endif

#include "tls_pair.h"

namespace millrace::test {

TEST_CASE("tls library: the table is whole") {
  const TlsLibrary& table = library();
  CHECK((table.OpenSSL_version_num() >> 28) == 3);
#define MILLRACE_THERE(result, name, parameters) CHECK_MESSAGE(static_cast<bool>(table.name), #name);
  MILLRACE_OPENSSL_FUNCTIONS(MILLRACE_THERE)
#undef MILLRACE_THERE
  CHECK(static_cast<bool>(table.bio_method));
  CHECK(&loaded_tls_library() == &table);
}

TEST_CASE("tls library: a process without OpenSSL gets a sentence") {
  std::string problem;
  const TlsLibrary* const table = tls_library(TlsSource::Process, problem);
  // The tests also run inside of Node, which exports it.
  const bool absent = table == nullptr;
  CHECK(absent == (problem == "this process exports no OpenSSL"));
}

#if __has_include(<openssl/ssl.h>) && OPENSSL_VERSION_MAJOR == 3
TEST_CASE("tls library: prototypes and constants are those of OpenSSL's headers") {
#define MILLRACE_SAME(result, name, parameters) \
  static_assert(std::is_same_v<decltype(TlsLibrary::name), decltype(&::name)>, #name);
  MILLRACE_OPENSSL_FUNCTIONS(MILLRACE_SAME)
#undef MILLRACE_SAME
#define MILLRACE_EQUAL(ours, theirs) static_assert(openssl::ours == (theirs), #ours)
  MILLRACE_EQUAL(kErrorSsl, SSL_ERROR_SSL);
  MILLRACE_EQUAL(kErrorWantRead, SSL_ERROR_WANT_READ);
  MILLRACE_EQUAL(kErrorWantWrite, SSL_ERROR_WANT_WRITE);
  MILLRACE_EQUAL(kErrorZeroReturn, SSL_ERROR_ZERO_RETURN);
  MILLRACE_EQUAL(kCtrlMode, SSL_CTRL_MODE);
  MILLRACE_EQUAL(kCtrlSessionCacheMode, SSL_CTRL_SET_SESS_CACHE_MODE);
  MILLRACE_EQUAL(kCtrlServerName, SSL_CTRL_SET_TLSEXT_HOSTNAME);
  MILLRACE_EQUAL(kCtrlClearMode, SSL_CTRL_CLEAR_MODE);
  MILLRACE_EQUAL(kCtrlChainCertificate, SSL_CTRL_CHAIN_CERT);
  MILLRACE_EQUAL(kCtrlMinVersion, SSL_CTRL_SET_MIN_PROTO_VERSION);
  MILLRACE_EQUAL(kCtrlMaxVersion, SSL_CTRL_SET_MAX_PROTO_VERSION);
  MILLRACE_EQUAL(kModePartialWrite, SSL_MODE_ENABLE_PARTIAL_WRITE);
  MILLRACE_EQUAL(kModeMovingBuffer, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  MILLRACE_EQUAL(kModeAutoRetry, SSL_MODE_AUTO_RETRY);
  MILLRACE_EQUAL(kModeReleaseBuffers, SSL_MODE_RELEASE_BUFFERS);
  MILLRACE_EQUAL(kSessionCacheOff, SSL_SESS_CACHE_OFF);
  MILLRACE_EQUAL(kSessionCacheClient, SSL_SESS_CACHE_CLIENT);
  MILLRACE_EQUAL(kSessionCacheNoInternal, SSL_SESS_CACHE_NO_INTERNAL);
  MILLRACE_EQUAL(kNoTicket, SSL_OP_NO_TICKET);
  MILLRACE_EQUAL(kNoCompression, SSL_OP_NO_COMPRESSION);
  MILLRACE_EQUAL(kPrioritizeChacha, SSL_OP_PRIORITIZE_CHACHA);
  MILLRACE_EQUAL(kServerPreference, SSL_OP_CIPHER_SERVER_PREFERENCE);
  MILLRACE_EQUAL(kNoRenegotiation, SSL_OP_NO_RENEGOTIATION);
  MILLRACE_EQUAL(kVerifyNone, SSL_VERIFY_NONE);
  MILLRACE_EQUAL(kVerifyPeer, SSL_VERIFY_PEER);
  MILLRACE_EQUAL(kSentShutdown, SSL_SENT_SHUTDOWN);
  MILLRACE_EQUAL(kReceivedShutdown, SSL_RECEIVED_SHUTDOWN);
  MILLRACE_EQUAL(kHelloError, SSL_CLIENT_HELLO_ERROR);
  MILLRACE_EQUAL(kHelloSuccess, SSL_CLIENT_HELLO_SUCCESS);
  MILLRACE_EQUAL(kKeyUpdateNotRequested, SSL_KEY_UPDATE_NOT_REQUESTED);
  MILLRACE_EQUAL(kTls12, TLS1_2_VERSION);
  MILLRACE_EQUAL(kTls13, TLS1_3_VERSION);
  MILLRACE_EQUAL(kExtensionServerName, TLSEXT_TYPE_server_name);
  MILLRACE_EQUAL(kNameTypeHost, TLSEXT_NAMETYPE_host_name);
  MILLRACE_EQUAL(kCallbackOk, SSL_TLSEXT_ERR_OK);
  MILLRACE_EQUAL(kCallbackFatal, SSL_TLSEXT_ERR_ALERT_FATAL);
  MILLRACE_EQUAL(kAlertUnrecognizedName, SSL_AD_UNRECOGNIZED_NAME);
  MILLRACE_EQUAL(kReasonNoSharedCipher, SSL_R_NO_SHARED_CIPHER);
  MILLRACE_EQUAL(kReasonHttpsProxyRequest, SSL_R_HTTPS_PROXY_REQUEST);
  MILLRACE_EQUAL(kReasonHttpRequest, SSL_R_HTTP_REQUEST);
  MILLRACE_EQUAL(kReasonNoProtocols, SSL_R_NO_PROTOCOLS_AVAILABLE);
  MILLRACE_EQUAL(kReasonNoApplicationProtocol, SSL_R_NO_APPLICATION_PROTOCOL);
  MILLRACE_EQUAL(kReasonUnsupportedProtocol, SSL_R_UNSUPPORTED_PROTOCOL);
  MILLRACE_EQUAL(kReasonWrongVersion, SSL_R_WRONG_VERSION_NUMBER);
  MILLRACE_EQUAL(kReasonVersionTooLow, SSL_R_VERSION_TOO_LOW);
  MILLRACE_EQUAL(kReasonVerifyFailed, SSL_R_CERTIFICATE_VERIFY_FAILED);
  MILLRACE_EQUAL(kReasonAlert, SSL_AD_REASON_OFFSET);
  MILLRACE_EQUAL(kReasonMask, static_cast<unsigned long>(ERR_REASON_MASK));
  MILLRACE_EQUAL(kSystemError, static_cast<unsigned long>(ERR_SYSTEM_FLAG));
  MILLRACE_EQUAL(kBioSource, BIO_TYPE_SOURCE_SINK);
  MILLRACE_EQUAL(kBioRead, BIO_FLAGS_READ);
  MILLRACE_EQUAL(kBioRetry, BIO_FLAGS_SHOULD_RETRY);
  MILLRACE_EQUAL(kBioRetryFlags, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  MILLRACE_EQUAL(kBioFlush, BIO_CTRL_FLUSH);
  MILLRACE_EQUAL(kVerifyOk, X509_V_OK);
  MILLRACE_EQUAL(kNoIssuer, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT);
  MILLRACE_EQUAL(kNotYetValid, X509_V_ERR_CERT_NOT_YET_VALID);
  MILLRACE_EQUAL(kExpired, X509_V_ERR_CERT_HAS_EXPIRED);
  MILLRACE_EQUAL(kSelfSigned, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
  MILLRACE_EQUAL(kSelfSignedInChain, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  MILLRACE_EQUAL(kNoLocalIssuer, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  MILLRACE_EQUAL(kNoLeafIssuer, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE);
  MILLRACE_EQUAL(kApplicationVerification, X509_V_ERR_APPLICATION_VERIFICATION);
  MILLRACE_EQUAL(kHostMismatch, X509_V_ERR_HOSTNAME_MISMATCH);
  MILLRACE_EQUAL(kAddressMismatch, X509_V_ERR_IP_ADDRESS_MISMATCH);
  MILLRACE_EQUAL(kNoPartialWildcards, static_cast<unsigned>(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS));
  MILLRACE_EQUAL(kPartialChain, static_cast<unsigned long>(X509_V_FLAG_PARTIAL_CHAIN));
  MILLRACE_EQUAL(kParameterText, static_cast<unsigned>(OSSL_PARAM_UTF8_STRING));
  MILLRACE_EQUAL(kParameterBytes, static_cast<unsigned>(OSSL_PARAM_OCTET_STRING));
  MILLRACE_EQUAL(kBlockIvBytes, EVP_MAX_IV_LENGTH);
#undef MILLRACE_EQUAL
}
#endif

}  // namespace millrace::test
