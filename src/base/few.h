// A list of few elements, most often of none or one, that thousands of owners have. Empty it takes a pointer
// and nothing else; otherwise one piece of memory besides, with room for the next power of two of elements.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

namespace carpd {

template <class T>
class Few {
 public:
    using value_type = T;
    using iterator = T*;
    using const_iterator = const T*;

    Few() = default;
    template <std::input_iterator I>
    Few(I first, I last) : list_(make(static_cast<std::size_t>(std::distance(first, last)))) {
        std::uninitialized_copy(first, last, begin());
    }
    Few(std::initializer_list<T> elements) : Few(elements.begin(), elements.end()) {}
    Few(const Few& other) : Few(other.begin(), other.end()) {}
    Few(Few&& other) noexcept : list_(std::exchange(other.list_, nullptr)) {}
    Few& operator=(Few other) noexcept {
        std::swap(list_, other.list_);
        return *this;
    }
    ~Few() {
        std::destroy(begin(), end());
        ::operator delete(list_);
    }

    std::size_t size() const { return list_ ? *list_ : 0; }
    bool empty() const { return !list_; }
    T* data() {
        return list_ ? reinterpret_cast<T*>(reinterpret_cast<std::byte*>(list_) + kHeader) : nullptr;
    }
    const T* data() const { return const_cast<Few*>(this)->data(); }
    T* begin() { return data(); }
    T* end() { return begin() + size(); }
    const T* begin() const { return const_cast<Few*>(this)->begin(); }
    const T* end() const { return begin() + size(); }
    T& operator[](std::size_t i) { return data()[i]; }
    const T& operator[](std::size_t i) const { return data()[i]; }
    const T& front() const { return data()[0]; }

    void push_back(T element) {
        const std::size_t had = size();
        if (had == room(had)) {
            Few longer;
            longer.list_ = make(had + 1);
            std::uninitialized_move(begin(), end(), longer.data());
            std::destroy(begin(), end());
            ::operator delete(std::exchange(list_, std::exchange(longer.list_, nullptr)));
        }
        std::construct_at(data() + had, std::move(element));
        *list_ = static_cast<Count>(had + 1);
    }
    void clear() { *this = {}; }

    friend bool operator==(const Few& a, const Few& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
    template <class Unwanted>
    friend void erase_if(Few& few, Unwanted unwanted) {
        T* const kept = std::remove_if(few.begin(), few.end(), unwanted);
        if (kept != few.end()) few = Few(std::make_move_iterator(few.begin()), std::make_move_iterator(kept));
    }

 private:
    // The number of elements, which stand behind it.
    using Count = std::uint32_t;
    static constexpr std::size_t kHeader = std::max(sizeof(Count), alignof(T));
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

    static std::size_t room(std::size_t size) { return size == 0 ? 0 : std::bit_ceil(size); }
    // Its elements are still to be made.
    static Count* make(std::size_t size) {
        if (size == 0) return nullptr;
        return new (::operator new(kHeader + room(size) * sizeof(T))) Count(static_cast<Count>(size));
    }

    Count* list_ = nullptr;
};

}  // namespace carpd
