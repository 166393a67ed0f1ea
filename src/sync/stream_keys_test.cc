#include "sync/stream_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/document.h"

namespace carpd {
namespace {

using captures::example;
using testing::ElementsAreArray;
using Buffer = std::vector<std::uint8_t>;

// The examples of docs/protocol/sync.md §2.5, which were made by another implementation.
class Documented : public testing::Test {
 protected:
    Documented() {
        const Buffer bytes = example(text, "configured key"), drawn = example(text, "nonce");
        std::copy(bytes.begin(), bytes.end(), key.begin());
        std::copy(drawn.begin(), drawn.end(), nonce.begin());
        stream = read_u64(example(text, "stream"), 0);
    }
    Buffer sealed(const Aead& aead, const std::string& header, const std::string& body) {
        Buffer datagram = example(text, header);
        const std::size_t head = datagram.size();
        const Buffer plain = example(text, body);
        datagram.insert(datagram.end(), plain.begin(), plain.end());
        datagram.resize(datagram.size() + Aead::kTagSize);
        aead.seal(read_u64(datagram, 12), Bytes(datagram).first(head), std::span(datagram).subspan(head));
        return datagram;
    }
    // By its key alone, which StreamKeys doesn't show.
    Buffer sealed_by(const std::string& key_name) {
        Secret secret;
        const Buffer bytes = example(text, key_name);
        std::copy(bytes.begin(), bytes.end(), secret.begin());
        return sealed(Aead(secret), "data header", "data body");
    }

    const std::string text = captures::document("sync.md");
    Secret key;
    StreamNonce nonce;
    StreamId stream;
};

TEST_F(Documented, Datagrams) {
    StreamKeys keys(key, stream, nonce);
    EXPECT_THAT(sealed(keys.hello(), "hello header", "hello body"),
                ElementsAreArray(example(text, "hello datagram")));
    EXPECT_THAT(sealed(keys.data(0), "data header", "data body"),
                ElementsAreArray(example(text, "data datagram")));
}

TEST_F(Documented, KeysOfEpochsInAnyOrder) {
    StreamKeys keys(key, stream, nonce);
    const Buffer first = sealed_by("data key, epoch 0"), second = sealed_by("data key, epoch 1");
    for (const std::uint64_t epoch : {1, 0, 2, 3, 0, 1, 7, 1}) {
        const Buffer got = sealed(keys.data(epoch), "data header", "data body");
        EXPECT_EQ(got == first, epoch == 0);
        EXPECT_EQ(got == second, epoch == 1);
    }
}

TEST_F(Documented, EveryPartMakesAnotherKey) {
    const auto hello_by = [&](StreamKeys other) {
        return sealed(other.hello(), "hello header", "hello body");
    };
    const Buffer right = hello_by(StreamKeys(key, stream, nonce));
    EXPECT_NE(hello_by(StreamKeys(key, stream + 1, nonce)), right);
    ++nonce[23];
    EXPECT_NE(hello_by(StreamKeys(key, stream, nonce)), right);
    --nonce[23];
    ++key[31];
    EXPECT_NE(hello_by(StreamKeys(key, stream, nonce)), right);
}

}  // namespace
}  // namespace carpd
