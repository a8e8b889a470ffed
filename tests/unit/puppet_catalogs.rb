# Compiles the catalogs of many nodes in one process: starting Ruby and Puppet once for each would take most of the time.
#
# usage: ruby puppet_catalogs.rb PUPPET_FOLDER HIERA_CONFIG NODE...
# NODE is ROLE or ROLE-WORD. HIERA_CONFIG may contain %NODE%, which becomes the node. Prints one JSON object: by node its
# resources ("Type[title]" => parameters), or the error.
require 'json'
require 'puppet'

base, hiera, *nodes = ARGV
Puppet.initialize_settings(['--confdir', "#{File.dirname(hiera)}/conf", '--vardir', "#{File.dirname(hiera)}/var"])
Puppet::Util::Log.level = :err
modules = ["#{base}/site-modules", "#{base}/modules"]
answers = nodes.map do |name|
  role = name.split('-').first
  Puppet[:hiera_config] = hiera.sub('%NODE%', name)
  env = Puppet::Node::Environment.create(:test, modules, "#{base}/manifests/site.pp")
  answer = Puppet.override(current_environment: env, loaders: Puppet::Pops::Loaders.new(env)) do
    facts = { 'hcluster_role' => role, 'os' => { 'architecture' => 'amd64', 'family' => 'Debian', 'name' => 'Debian' } }
    node = Puppet::Node.new('node', environment: env, facts: Puppet::Node::Facts.new('node', facts))
    node.merge(facts)
    catalog = Puppet::Parser::Compiler.compile(node)
    catalog.resources.reject { |resource| resource.class? }.to_h do |resource|
      [resource.ref, resource.to_hash.to_h { |name, value| [name.to_s, value.respond_to?(:unwrap) ? value.unwrap : value.to_s] }]
    end
  rescue Puppet::Error => e
    { 'error' => e.message }
  end
  [name, answer]
end
puts JSON.generate(answers.to_h)
