# @summary The number, but not below least and not above most.
#
# @param number any number; its fraction is cut off
# @param least lower bound
# @param most upper bound
#
# @return [Integer] the bounded number
function profile::clamp(Numeric $number, Integer $least, Integer $most) >> Integer {
  max($least, min($most, Integer($number)))
}
