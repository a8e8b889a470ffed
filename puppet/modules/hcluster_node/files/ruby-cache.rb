# Written by Puppet: changes do not last.
# Ruby files that were compiled while the image was baked are loaded without being parsed again.
#
# ruby ruby-cache.rb CACHE FOLDER...  compiles every file below the folders
# ruby -r.../ruby-cache.rb ...        loads what is compiled; HCLUSTER_RUBY_CACHE is where
#
# A compiled file carries its source's time and is passed over when that is another one, as after an update of a package;
# one that this Ruby did not write is refused by Ruby itself, and then the source is loaded.
require 'fileutils' if __FILE__ == $PROGRAM_NAME

if __FILE__ == $PROGRAM_NAME
  cache, *folders = ARGV
  files = folders.flat_map { |folder| Dir.glob("#{folder}/**/*.rb") }.map { |path| File.realpath(path) }.uniq
  files.each do |path|
    compiled = "#{cache}#{path}.bin"
    FileUtils.mkdir_p(File.dirname(compiled))
    begin
      File.binwrite(compiled, RubyVM::InstructionSequence.compile_file(path).to_binary)
    rescue SyntaxError
      next # of another Ruby; nobody loads it here
    end
    modified = File.mtime(path)
    File.utime(modified, modified, compiled)
  end
  File.write("#{cache}/complete", "#{RUBY_DESCRIPTION}\n")
else
  RubyVM::InstructionSequence.singleton_class.class_eval do
    cache = ENV.fetch('HCLUSTER_RUBY_CACHE', '/usr/local/lib/hcluster/ruby')
    define_method(:load_iseq) do |path|
      compiled = "#{cache}#{path}.bin"
      next unless File.mtime(compiled) == File.mtime(path)

      RubyVM::InstructionSequence.load_from_binary(File.binread(compiled))
    rescue SystemCallError, RuntimeError
      nil
    end
  end
end
