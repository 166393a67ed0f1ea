// Expected<T, E>: a value, or the reason why there is none. (std::expected comes with C++23.)
#pragma once

#include <utility>
#include <variant>

#include "base/assert.h"

namespace carpd {

template <class E>
struct Unexpected {
    E error;
};
template <class E>
Unexpected(E) -> Unexpected<E>;

template <class T, class E>
class [[nodiscard]] Expected {
 public:
    Expected(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Expected(Unexpected<E> unexpected) : content_(std::in_place_index<1>, std::move(unexpected.error)) {}

    bool has_value() const { return content_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    // Asking for the half that isn't there is a broken invariant.
    const T& value() const { return *checked(std::get_if<0>(&content_)); }
    T& value() { return *checked(std::get_if<0>(&content_)); }
    const E& error() const { return *checked(std::get_if<1>(&content_)); }

    const T& operator*() const { return value(); }
    T& operator*() { return value(); }
    const T* operator->() const { return &value(); }
    T* operator->() { return &value(); }

 private:
    template <class P>
    static P* checked(P* half) {
        CARPD_ASSERT(half != nullptr);
        return half;
    }

    std::variant<T, E> content_;
};

}  // namespace carpd
