// A value that many owners have and nobody changes, or none. Two are equal if their values are.
#pragma once

#include <memory>
#include <utility>

namespace carpd {

template <class T>
class SharedValue {
 public:
    SharedValue() = default;
    explicit SharedValue(T value) : value_(std::make_shared<const T>(std::move(value))) {}

    explicit operator bool() const { return value_ != nullptr; }
    const T& operator*() const { return *value_; }
    const T* operator->() const { return value_.get(); }

    friend bool operator==(const SharedValue& a, const SharedValue& b) {
        return a.value_ == b.value_ || (a.value_ && b.value_ && *a.value_ == *b.value_);
    }

 private:
    std::shared_ptr<const T> value_;
};

}  // namespace carpd
